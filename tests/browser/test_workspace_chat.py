"""Talking in the workspace: against a real server whose model says what it is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.browser.house import LONG, answers, ask, wait_for_answer, wait_for_words
from tests.browser.pages import OpenPage

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect


def test_a_question_is_answered_with_figures_and_named_by_its_first_words(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    watched.screenshot("workspace-empty-light-en-1280")
    ask(page, "Why is the sky blue?")
    answer = wait_for_answer(page)
    expect(answer.locator("table")).to_contain_text("450 nm")
    expect(answer.locator(".code")).to_contain_text("def scatter")
    expect(page).to_have_url(re.compile(r"\?chat="))
    expect(page.get_by_role("link", name="Why is the sky blue?")).to_have_attribute("aria-current", "page")
    figures = answer.get_by_test_id("figures-brief")
    assert int(figures.get_attribute("data-tokens")) > 20
    figures.click()
    for name in ("Tokens out", "Tokens in", "Context used", "First token"):
        expect(answer.get_by_test_id("figures")).to_contain_text(name)
    watched.screenshot("workspace-answer-light-en-1280")


def test_reasoning_is_shown_and_folded_once_the_answer_begins(at_home: OpenPage) -> None:
    page = at_home().page
    ask(page, "Please think about it.")
    answer = wait_for_answer(page)
    expect(answer.locator(".prose")).to_have_text("It is four.")
    answer.get_by_role("button", name=re.compile("^Thought for")).click()
    expect(answer.locator(".reasoning")).to_contain_text("Let me count")


def test_a_reload_in_the_middle_of_an_answer_loses_no_word(at_home: OpenPage) -> None:
    page = at_home().page
    ask(page, "Something long.")
    wait_for_words(page, 60)
    page.reload()
    wait_for_words(page, 60)
    assert answers(page).last.get_attribute("data-status") == "streaming"
    expect(wait_for_answer(page).locator(".prose")).to_have_text(LONG)


def test_a_second_tab_watches_the_same_answer(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    ask(page, "Again something long.")
    wait_for_words(page, 30)
    second = page.context.new_page()
    second.goto(page.url)
    wait_for_words(second, 30)
    for each in (page, second):
        expect(wait_for_answer(each).locator(".prose")).to_have_text(LONG)


def test_an_answer_is_stopped_by_escape_and_keeps_what_it_has(at_home: OpenPage) -> None:
    page = at_home().page
    ask(page, "An endless one.")
    wait_for_words(page, 30)
    page.keyboard.press("Escape")
    answer = wait_for_answer(page, "stopped")
    expect(answer).to_contain_text("Stopped")
    kept = answer.locator(".prose").inner_text()
    page.reload()
    expect(wait_for_answer(page, "stopped").locator(".prose")).to_have_text(kept)


def test_a_stopped_answer_goes_on_where_it_was(at_home: OpenPage) -> None:
    page = at_home().page
    ask(page, "Say something long again.")
    wait_for_words(page, 40)
    page.keyboard.press("Escape")
    kept = wait_for_answer(page, "stopped").locator(".prose").inner_text()
    answers(page).last.get_by_role("button", name="Continue").click()
    wait_for_words(page, len(kept) + 10)
    answer = wait_for_answer(page)
    assert answer.locator(".prose").inner_text().startswith(kept)
    expect(answer.get_by_role("button", name="Continue")).to_have_count(0)
    expect(answer.get_by_test_id("versions")).to_have_count(0)


def test_a_broken_connection_is_mended_and_no_word_is_lost(at_home: OpenPage) -> None:
    page = at_home().page
    asked: list[str] = []

    def break_the_first(route: Any) -> None:
        asked.append(route.request.url.partition("?")[2])
        if len(asked) > 1:
            route.continue_()
            return
        response = route.fetch()
        body = response.body()
        route.fulfill(response=response, body=body[: len(body) // 2])  # in the middle of an event

    page.route("**/api/generations/*/events?*", break_the_first)
    with page.expect_request(re.compile(r"/events\?after=[1-9]")):
        ask(page, "Why is the sky blue on a bad line?")
    answer = wait_for_answer(page)
    assert asked[0] == "after=0"
    expect(answer.locator(".prose")).to_contain_text("We look up and see blue.")
    whole = answer.locator(".prose").inner_text()
    page.unroute_all()
    page.reload()
    expect(wait_for_answer(page).locator(".prose")).to_have_text(whole, use_inner_text=True)


def test_an_edited_question_begins_a_branch_and_arrows_lead_back(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    ask(page, "First version")
    wait_for_answer(page)
    page.locator("#composer").press("ArrowUp")
    field = page.get_by_role("textbox", name="Edit")
    expect(field).to_have_value("First version")
    field.fill("你好")
    field.press("Enter")
    expect(wait_for_answer(page).locator(".prose")).to_contain_text("有什么可以帮你")
    question = page.locator("article.question")
    expect(question.get_by_test_id("versions")).to_contain_text("2/2")
    question.get_by_role("button", name="Previous version").click()
    expect(question.locator(".bubble")).to_have_text("First version")
    expect(answers(page).last.locator(".prose")).to_contain_text("How can I help")
    page.reload()
    expect(question.locator(".bubble")).to_have_text("First version")
    answers(page).last.get_by_role("button", name="Regenerate").click()
    expect(answers(page).last.get_by_test_id("versions")).to_contain_text("2/2")
    wait_for_answer(page)
    watched.screenshot("workspace-branch-light-en-1280")


def test_an_enter_that_confirms_an_input_method_never_sends(at_home: OpenPage) -> None:
    page = at_home(locale="zh-CN").page
    field = page.locator("#composer")
    field.focus()
    client = page.context.new_cdp_session(page)
    client.send("Input.imeSetComposition", {"text": "你好", "selectionStart": 2, "selectionEnd": 2})
    client.send(
        "Input.dispatchKeyEvent",
        {"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229},
    )
    client.send("Input.insertText", {"text": "你好"})
    expect(field).to_have_value("你好")
    expect(page.locator("article.question")).to_have_count(0)
    field.press("Enter")
    expect(wait_for_answer(page).locator(".prose")).to_contain_text("有什么可以帮你")


def test_a_draft_waits_in_its_chat(at_home: OpenPage) -> None:
    page = at_home().page
    ask(page, "A chat with a draft")
    wait_for_answer(page)
    page.locator("#composer").fill("half a thought")
    page.get_by_role("button", name="New chat").first.click()
    expect(page.locator("#composer")).to_have_value("")
    page.go_back()
    expect(page.locator("#composer")).to_have_value("half a thought")
    page.reload()
    expect(page.locator("#composer")).to_have_value("half a thought")


def menu_of(page: Any, title: str, item: str) -> None:
    page.get_by_role("link", name=title).hover()
    page.get_by_role("button", name=f"Options of “{title}”").click()
    page.get_by_role("menuitem", name=item).click()


def test_chats_are_renamed_pinned_archived_and_deleted(at_home: OpenPage) -> None:
    page = at_home().page
    ask(page, "To be renamed")
    wait_for_answer(page)
    menu_of(page, "To be renamed", "Rename")
    page.get_by_role("textbox", name="Title of the chat").fill("A better name")
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("A better name"))
    menu_of(page, "A better name", "Pin")
    expect(page.get_by_role("region", name="Pinned")).to_contain_text("A better name")
    menu_of(page, "A better name", "Archive")
    expect(page.get_by_role("link", name="A better name")).to_have_count(0)
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("menuitem", name="Archived chats").click()
    menu_of(page, "A better name", "Delete")
    dialog = page.get_by_role("dialog", name="Delete this chat?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nothing is archived.")).to_be_visible()
    expect(page).not_to_have_url(re.compile(r"\?chat="))
