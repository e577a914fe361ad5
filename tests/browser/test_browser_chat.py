"""The chat page against the real server and the default model."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.browser.pages import OpenPage

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect

ANSWER_MS = 120_000
GREEDY = '{"sampling": {"temperature": 0, "topP": null, "maxTokens": 48}}'


def message_field(page: Any) -> Any:
    return page.get_by_role("textbox", name="Message")


def ask(page: Any, text: str) -> None:
    message_field(page).fill(text)
    message_field(page).press("Enter")


def last_answer(page: Any) -> Any:
    return page.get_by_role("article", name="Answer").last


def wait_for_status(page: Any, status: str) -> None:
    expect(last_answer(page)).to_have_attribute("data-status", status, timeout=ANSWER_MS)


def wait_for_words(page: Any, more_than: int = 0) -> None:
    """Until the last answer shows more than so many characters."""
    page.wait_for_function(
        """least => [...document.querySelectorAll('article[data-status] .prose')]
            .at(-1)?.textContent.length > least""",
        arg=more_than,
        timeout=ANSWER_MS,
    )


def test_a_question_is_answered_word_by_word_with_exact_figures(open_page: OpenPage) -> None:
    watched = open_page(storage={"pagoda.preferences": GREEDY.replace("48", "160")})
    page = watched.page
    expect(page.get_by_test_id("model-name")).to_have_text(re.compile(r"\S"))
    served = page.evaluate("fetch('v1/models').then(response => response.json())")["data"][0]
    expect(page.get_by_test_id("model-name")).to_have_text(served["id"])
    watched.screenshot("empty-light-en-1280")

    page.evaluate(
        """() => {
          window.lengths = new Set();
          new MutationObserver(() => {
            const text = document.querySelector('article[data-status] .prose')?.textContent ?? '';
            if (text) window.lengths.add(text.length);
          }).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    ask(page, "Why is the sky blue?")
    wait_for_status(page, "done")
    assert last_answer(page).locator(".prose").inner_text().strip()
    assert page.evaluate("window.lengths.size") > 2, "the answer came in one piece"
    expect(page.get_by_role("log")).to_contain_text("The answer is complete.")

    stats = page.get_by_test_id("stats")
    tokens = int(stats.get_attribute("data-completion-tokens"))
    assert 0 < tokens <= 160
    expect(stats).to_contain_text(re.compile(rf"^\s*{tokens} tokens"))
    expect(stats).to_contain_text("tokens/s")
    stats.click()
    for figure in ("Tokens out", "Tokens in", "Time", "First token", "Tokens/s"):
        expect(page.get_by_test_id("figures")).to_contain_text(figure)
    watched.screenshot("answer-light-en-1280")


def test_the_figures_are_those_of_the_usage_record(open_page: OpenPage) -> None:
    page = open_page(storage={"pagoda.preferences": GREEDY}).page
    # Keeps what the page's next request gets, byte for byte.
    page.evaluate(
        """() => {
          const fetched = window.fetch;
          window.fetch = async (...request) => {
            const response = await fetched(...request);
            window.received = response.clone().text();
            return response;
          };
        }"""
    )
    ask(page, "Name three colours.")
    wait_for_status(page, "done")
    data = re.findall(r"^data: (\{.*\})$", page.evaluate("window.received"), re.MULTILINE)
    last = json.loads(data[-1])
    assert last["choices"] == []
    stats = page.get_by_test_id("stats")
    assert int(stats.get_attribute("data-completion-tokens")) == last["usage"]["completion_tokens"]
    stats.click()
    expect(page.get_by_test_id("figures")).to_contain_text(
        re.compile(rf"Tokens in\s*{last['usage']['prompt_tokens']}\D")
    )


@pytest.mark.parametrize("way", ["button", "escape"])
def test_a_long_answer_can_be_stopped(open_page: OpenPage, way: str) -> None:
    page = open_page(storage={"pagoda.preferences": '{"sampling": {"temperature": 0}}'}).page
    ask(page, "Write a very long story about a tower with a hundred storeys, storey by storey.")
    wait_for_words(page, 20)
    if way == "button":
        page.get_by_role("button", name="Stop").click()
    else:
        page.keyboard.press("Escape")
    wait_for_status(page, "stopped")
    expect(page.get_by_role("log")).to_contain_text("The answer was stopped.")
    text = last_answer(page).locator(".prose").inner_text()
    assert text.strip()
    # The engine is free at once: the next question is answered, and the stopped answer grew no further.
    ask(page, "Say hello.")
    wait_for_words(page)
    assert page.get_by_role("article", name="Answer").first.locator(".prose").inner_text() == text
    page.keyboard.press("Escape")


def test_an_answer_can_be_regenerated_and_its_question_edited(open_page: OpenPage) -> None:
    page = open_page(storage={"pagoda.preferences": GREEDY}).page
    ask(page, "Count from one to five.")
    wait_for_status(page, "done")
    first = last_answer(page).locator(".prose").inner_text()

    page.get_by_role("button", name="Regenerate").click()
    wait_for_status(page, "done")
    expect(page.get_by_role("article", name="Answer")).to_have_count(1)
    assert last_answer(page).locator(".prose").inner_text() == first, "greedy answers to one prompt are equal"

    message_field(page).press("ArrowUp")
    editor = page.get_by_role("textbox", name="Edit")
    expect(editor).to_have_value("Count from one to five.")
    editor.fill("Name one fruit.")
    editor.press("Enter")
    wait_for_status(page, "done")
    expect(page.get_by_role("article", name="You")).to_have_text(re.compile("Name one fruit."))


def test_the_conversation_is_kept_and_a_new_chat_can_be_undone(open_page: OpenPage) -> None:
    page = open_page(storage={"pagoda.preferences": GREEDY}).page
    ask(page, "What is a pagoda?")
    wait_for_status(page, "done")
    text = last_answer(page).locator(".prose").inner_text()

    page.reload()
    expect(last_answer(page).locator(".prose")).to_have_text(text, use_inner_text=True)

    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("article")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(last_answer(page).locator(".prose")).to_have_text(text, use_inner_text=True)


def test_the_system_prompt_and_parameters_reach_the_server(open_page: OpenPage) -> None:
    page = open_page().page
    page.get_by_role("button", name="Parameters").click()
    page.get_by_label("System prompt").fill("Answer with one word.")
    page.get_by_role("slider", name="Temperature").fill("0")
    page.get_by_label("Longest answer").fill("3")
    with page.expect_request("**/v1/chat/completions") as request:
        ask(page, "What colour is grass?")
    body = request.value.post_data_json
    assert body["messages"][0] == {"role": "system", "content": "Answer with one word."}
    assert (body["temperature"], body["max_tokens"]) == (0, 3)
    assert "top_p" not in body
    wait_for_status(page, "done")
    assert int(page.get_by_test_id("stats").get_attribute("data-completion-tokens")) <= 3


def test_what_the_server_refuses_is_said_in_a_sentence(open_page: OpenPage) -> None:
    page = open_page(provoked=True).page
    ask(page, "word " * 40_000)
    wait_for_status(page, "failed")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("no longer fits")
    expect(alert).to_contain_text("Start a new chat")
    alert.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("article")).to_have_count(0)


def test_a_server_that_starts_again_is_said_honestly_and_the_question_is_kept(open_page: OpenPage) -> None:
    watched = open_page(storage={"pagoda.preferences": GREEDY}, provoked=True)
    page = watched.page
    expect(page.get_by_test_id("model-name")).to_be_visible()
    starting = {"error": {"message": "The engine is starting", "type": "Service Unavailable", "code": 503}}
    page.route("**/v1/**", lambda route: route.fulfill(status=503, json=starting))
    ask(page, "Are you there?")
    wait_for_status(page, "failed")
    expect(page.get_by_role("alert")).to_contain_text("The model is starting")
    expect(page.get_by_role("button", name="Try again")).to_be_disabled()
    expect(page.get_by_role("status").filter(has_text="The model is starting")).to_be_visible()
    watched.screenshot("starting-light-en-1280")

    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    wait_for_status(page, "done")
    expect(page.get_by_role("article", name="You")).to_have_count(1)


def test_an_answer_that_breaks_off_keeps_its_words(open_page: OpenPage) -> None:
    page = open_page(storage={"pagoda.preferences": GREEDY}).page
    chunk = {"choices": [{"index": 0, "delta": {"content": "Half an ans"}, "finish_reason": None}]}
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(content_type="text/event-stream", body=f"data: {json.dumps(chunk)}\n\n"),
    )
    ask(page, "Say something.")
    wait_for_status(page, "failed")
    expect(last_answer(page)).to_contain_text("Half an ans")
    expect(page.get_by_role("alert")).to_contain_text("broke off")


def test_reasoning_is_shown_and_folds_when_the_answer_begins(open_page: OpenPage) -> None:
    page = open_page().page
    deltas = [{"reasoning_content": "Let me think."}, {"content": "Here it is."}, {}]
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    page.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(content_type="text/event-stream", body=body),
    )
    ask(page, "Think first.")
    wait_for_status(page, "done")
    expect(last_answer(page)).to_contain_text("Here it is.")
    expect(last_answer(page)).not_to_contain_text("Let me think.")
    page.get_by_role("button", name="Thought").click()
    expect(last_answer(page)).to_contain_text("Let me think.")
