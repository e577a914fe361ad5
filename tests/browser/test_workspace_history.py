"""The reader's chats in the page: found again, put in order, shared, carried out and in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest
from tests.browser.house import ADMIN, PAGE, PASSWORD, ask, set_up, wait_for_answer
from tests.browser.pages import OpenPage

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect


def talk(page: Any, text: str) -> None:
    """A new chat with one question."""
    page.get_by_role("button", name="New chat").first.click()
    expect(page.locator("article")).to_have_count(0)
    ask(page, text)
    wait_for_answer(page)


def menu_of(page: Any, title: str, item: str) -> None:
    """Chooses in the menu of a chat or a folder in the sidebar."""
    opener = page.locator("#sidebar").get_by_role("button", name=f"Options of “{title}”", exact=True).first
    opener.focus()
    opener.press("Enter")
    page.get_by_role("menuitem", name=item, exact=True).click()


def folder(page: Any, name: str) -> Any:
    return page.locator("#sidebar li[data-folder]").filter(has=page.locator(f'button.name[title="{name}"]'))


def test_what_was_said_is_found_on_its_branch(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    talk(page, "Tell me of herons <b>and</b> reeds")
    page.locator("#composer").press("ArrowUp")
    field = page.get_by_role("textbox", name="Edit")
    field.fill("你好，苍鹭")
    field.press("Enter")
    expect(wait_for_answer(page).locator(".prose")).to_contain_text("有什么可以帮你")
    talk(page, "Something else")

    page.keyboard.press("Control+KeyK")
    search = page.get_by_role("combobox", name="Search titles and messages")
    expect(search).to_be_focused()
    expect(page.get_by_role("option").first).to_contain_text("Something else")
    search.fill("heron")
    found = page.get_by_role("option").filter(has_text="You")
    expect(found.locator("mark")).to_have_text("herons")
    expect(found).to_contain_text("<b>and</b>")
    watched.screenshot("workspace-search-light-en-1280")
    search.press("ArrowDown")
    expect(found).to_have_attribute("aria-selected", "true")
    search.press("Enter")
    question = page.locator("article.question")
    expect(question.locator(".bubble")).to_have_text("Tell me of herons <b>and</b> reeds")
    expect(question).to_be_focused()
    expect(question.get_by_test_id("versions")).to_contain_text("1/2")
    expect(page).not_to_have_url(re.compile("message="))

    # While an input method composes nothing is searched; what it gives is.
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "api/search" in request.url else None)
    page.locator("#sidebar").get_by_role("button", name="Search").click()
    expect(search).to_be_focused()
    client = page.context.new_cdp_session(page)
    client.send("Input.imeSetComposition", {"text": "canglu", "selectionStart": 6, "selectionEnd": 6})
    expect(search).to_have_value("canglu")
    with page.expect_response(lambda response: "api/search" in response.url):
        client.send("Input.insertText", {"text": "苍鹭"})
    expect(page.get_by_role("option").locator("mark")).to_have_text("苍鹭")
    assert len(asked) == 1
    search.fill("nowhere to be found")
    expect(page.locator(".note")).to_have_text("Nothing was found for “nowhere to be found”.")
    page.keyboard.press("Escape")
    expect(page.locator("#sidebar").get_by_role("button", name="Search")).to_be_focused()


def test_chats_are_put_in_order_with_folders_pins_and_tags(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    sidebar = page.locator("#sidebar")
    talk(page, "About kites")
    talk(page, "About tides")
    # A folder, and one inside it; a chat goes in by the menu, another is dragged.
    page.get_by_role("button", name="New folder").click()
    page.get_by_role("textbox", name="Name of the folder").fill("Sea")
    page.keyboard.press("Enter")
    menu_of(page, "Sea", "New folder")
    page.get_by_role("textbox", name="Name of the folder").fill("Harbours")
    page.keyboard.press("Enter")
    expect(folder(page, "Sea").locator("li[data-folder]")).to_contain_text("Harbours")
    menu_of(page, "About tides", "Move…")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="In no folder")).to_be_focused()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    harbours = folder(page, "Harbours").last
    expect(harbours.get_by_role("link", name="About tides")).to_be_visible()
    sidebar.get_by_role("link", name="About kites").drag_to(folder(page, "Sea").first.locator(".row").first)
    expect(folder(page, "Sea").first.get_by_role("link", name="About kites")).to_be_visible()
    # A chat that begins in a folder lies there.
    menu_of(page, "Sea", "New chat here")
    expect(page.get_by_text("In the folder Sea")).to_be_visible()
    ask(page, "About waves")
    wait_for_answer(page)
    expect(folder(page, "Sea").first.get_by_role("link", name="About waves")).to_be_visible()
    # What is open stays so.
    folder(page, "Harbours").last.locator("button.name").click()
    page.reload()
    expect(folder(page, "Sea").first.get_by_role("link", name="About waves")).to_be_visible()
    expect(page.get_by_role("link", name="About tides")).to_have_count(0)
    # Another tab sees each change by itself.
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#sidebar").get_by_role("link", name="About waves")).to_be_visible()
    menu_of(page, "About waves", "Pin")
    for each in (page, other):
        expect(
            each.get_by_role("region", name="Pinned").get_by_role("link", name="About waves")
        ).to_be_visible()
    other.close()
    # Tags, and the list of one of them.
    menu_of(page, "About kites", "Tags…")
    field = page.get_by_role("combobox", name="Add a tag")
    field.press_sequentially("wind,")
    field.press_sequentially("摄影")
    field.press("Enter")
    expect(dialog.get_by_role("button", name="Remove the tag “摄影”")).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    sidebar.get_by_role("button", name="Show one tag").click()
    page.get_by_role("menuitemradio", name="摄影").click()
    expect(sidebar.locator("li[data-chat]")).to_have_count(1)
    expect(sidebar.get_by_role("link", name="About kites")).to_be_visible()
    watched.screenshot("workspace-tagged-light-en-1280")
    sidebar.get_by_role("button", name="Tag 摄影: show all chats again").click()
    watched.screenshot("workspace-folders-light-en-1280")
    # A folder that goes takes no chat with it.
    menu_of(page, "Sea", "Delete")
    expect(dialog).to_contain_text("No chat is deleted")
    dialog.get_by_role("button", name="Delete").click()
    expect(folder(page, "Sea")).to_have_count(0)
    expect(sidebar.get_by_role("link", name="About kites")).to_be_visible()
    expect(folder(page, "Harbours")).to_have_count(1)


@pytest.fixture
def neighbour(house_url: str) -> dict[str, str]:
    """An account besides the administrator's."""
    set_up(house_url)
    base = house_url.removesuffix(PAGE)
    with httpx.Client(base_url=base, headers={"Origin": base.rstrip("/")}) as client:
        client.post("api/auth/login", json={"email": ADMIN["email"], "password": PASSWORD}).raise_for_status()
        account = {"name": "Bo", "email": "bo@example.org", "password": PASSWORD}
        client.post("api/admin/users", json=account).raise_for_status()
    return account


def test_a_chat_is_shared_by_a_link(
    at_home: OpenPage, open_house: OpenPage, neighbour: dict[str, str]
) -> None:
    watched = at_home()
    page = watched.page
    talk(page, "Why is the sky blue, said to all?")
    menu_of(page, "Why is the sky blue, said to all?", "Share…")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Make a link").click()
    link = dialog.get_by_role("textbox", name="Link to the chat")
    expect(link).to_be_focused()
    address = link.input_value()
    dialog.get_by_role("button", name="Copy the link").click()
    assert page.evaluate("navigator.clipboard.readText()") == address
    watched.screenshot("workspace-share-light-en-1280")
    page.keyboard.press("Escape")
    ask(page, "Said after the link was made")
    expect(page.locator("article.answer")).to_have_count(2)
    wait_for_answer(page)

    theirs = open_house(provoked=True)
    reader = theirs.page
    reader.goto(address)
    sign_in_as(reader, neighbour["email"])
    expect(reader.get_by_role("heading", level=1)).to_have_text("Why is the sky blue, said to all?")
    expect(reader.get_by_text("Shared by Ada")).to_be_visible()
    expect(reader.locator("article").last).to_contain_text("450 nm")
    expect(reader.get_by_text("Said after the link was made")).to_have_count(0)
    expect(reader.locator("#composer")).to_have_count(0)
    theirs.screenshot("workspace-shared-light-en-1280")
    reader.get_by_role("button", name="Copy to my chats").click()
    expect(
        reader.locator("#sidebar").get_by_role("link", name="Why is the sky blue, said to all?")
    ).to_be_visible()
    expect(reader.locator("article.answer")).to_contain_text("450 nm")

    menu_of(page, "Why is the sky blue, said to all?", "Share…")
    dialog.get_by_role("button", name="Show the chat as it is now").click()
    expect(dialog).to_contain_text("The link shows the chat as it is now.")
    reader.goto(address)
    expect(reader.get_by_text("Said after the link was made")).to_be_visible()
    dialog.get_by_role("button", name="Remove the link").click()
    expect(dialog).to_contain_text("The link is gone.")
    reader.reload()
    expect(reader.get_by_role("heading", name="This link leads nowhere")).to_be_visible()
    reader.get_by_role("link", name="To my chats").last.click()
    expect(reader.locator("#composer")).to_be_visible()


def sign_in_as(page: Any, email: str) -> None:
    page.locator("#email").fill(email)
    page.locator("#password").fill(PASSWORD)
    page.locator("#password").press("Enter")


def test_chats_go_out_as_files_and_come_in_again(at_home: OpenPage, tmp_path: Path) -> None:
    watched = at_home()
    page = watched.page
    title = "A chat that travels"
    talk(page, title)
    dialog = page.get_by_role("dialog")

    def exported(format_name: str) -> Path:
        menu_of(page, title, "Export…")
        with page.expect_download() as download:
            dialog.get_by_role("link", name=format_name).click()
        kept = tmp_path / download.value.suggested_filename
        download.value.save_as(kept)
        expect(dialog).to_have_count(0)
        return kept

    markdown = exported("Markdown")
    assert markdown.name == f"{title}.md"
    assert "How can I help you?" in markdown.read_text(encoding="utf-8")
    file = exported("Pagoda, with files")
    with ZipFile(file) as archive:
        assert [each["title"] for each in json.loads(archive.read("chats.json"))["chats"]] == [title]
    menu_of(page, title, "Delete")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name=title)).to_have_count(0)

    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_role("tab", name="Chats").click()
    watched.screenshot("workspace-data-light-en-1280")
    page.get_by_role("button", name="Import…").click()
    broken = tmp_path / "broken.json"
    broken.write_text('{"no": "chats"', encoding="utf-8")
    dialog.locator("input[type=file]").set_input_files(broken)
    expect(dialog.get_by_role("alert")).to_contain_text("This file is neither JSON nor an archive of chats.")
    dialog.get_by_role("button", name="Import another file").click()
    dialog.locator("input[type=file]").set_input_files(file)
    expect(dialog).to_contain_text("1 chat has been imported.")
    expect(dialog).to_contain_text("Recognised as: Pagoda")
    watched.screenshot("workspace-import-light-en-1280")
    dialog.get_by_role("button", name="Close").last.click()
    page.locator("#sidebar").get_by_role("link", name=title).click()
    expect(page.locator("article.answer .prose")).to_contain_text("How can I help you?")
