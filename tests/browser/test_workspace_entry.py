"""The way into the workspace and the reader's own settings, against a real server."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.browser.house import ADMIN, PAGE, PASSWORD, ask, sign_in, wait_for_answer
from tests.browser.pages import OpenPage

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect


def fill(page: Any, name: str, email: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=True).fill(password)


def test_the_first_visitor_becomes_the_administrator(open_house: OpenPage) -> None:
    watched = open_house(provoked=True)
    page = watched.page
    expect(page.get_by_role("heading", name="Welcome to Pagoda")).to_be_visible()
    expect(page.get_by_label("Name")).to_be_focused()
    watched.screenshot("workspace-setup-light-en-1280")
    fill(page, ADMIN["name"], ADMIN["email"], "short")
    page.get_by_role("button", name="Create the administrator").click()
    expect(page.get_by_role("alert")).to_contain_text("at least 8 characters")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="What is on your mind, Ada?")).to_be_visible()
    assert page.evaluate("document.cookie") == "", "a script can read the session"
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to Pagoda")).to_be_visible()
    page.get_by_label("E-mail").fill(ADMIN["email"])
    page.get_by_label("Password", exact=True).fill("not this one")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("E-mail or password is wrong.")
    watched.screenshot("workspace-signin-light-en-1280")
    sign_in(watched)


def test_an_account_that_is_not_approved_waits(at_home: OpenPage, open_house: OpenPage) -> None:
    at_home()
    watched = open_house()
    page = watched.page
    page.get_by_role("button", name="Make one").click()
    expect(page.get_by_text("An administrator approves new accounts")).to_be_visible()
    fill(page, "Grace", "grace@example.org", PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Almost there, Grace")).to_be_visible()
    watched.screenshot("workspace-pending-light-en-1280")
    page.reload()
    expect(page.get_by_role("heading", name="Almost there, Grace")).to_be_visible()


def test_language_and_appearance_are_the_accounts_own(at_home: OpenPage) -> None:
    page = at_home().page
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_text("简体中文").click()
    page.get_by_text("深色").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("Escape")
    elsewhere = at_home().page
    expect(elsewhere.locator("html")).to_have_attribute("data-theme", "dark")
    expect(elsewhere.get_by_role("button", name="新对话").first).to_be_visible()
    elsewhere.get_by_role("button", name="账号与设置").click()
    elsewhere.get_by_role("menuitem", name="设置").click()
    elsewhere.get_by_text("跟随浏览器").click()
    elsewhere.get_by_text("System").click()
    expect(elsewhere.get_by_role("heading", name="Settings")).to_be_visible()


def test_a_key_is_shown_once_and_opens_the_api(at_home: OpenPage, house_url: str) -> None:
    watched = at_home()
    page = watched.page
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_role("tab", name="API keys").click()
    page.get_by_role("textbox", name="What the key is for").fill("Notebook")
    page.get_by_role("button", name="Make a key").click()
    key = page.get_by_test_id("key").inner_text()
    watched.screenshot("workspace-keys-light-en-1280")
    answer = httpx.get(f"{house_url.removesuffix(PAGE)}api/me", headers={"Authorization": f"Bearer {key}"})
    assert answer.json()["name"] == "Ada"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_role("tab", name="API keys").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("Notebook")
    expect(page.get_by_role("tabpanel")).not_to_contain_text(key)
    page.get_by_role("button", name="Delete the key “Notebook”").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("You have no keys.")).to_be_visible()


def test_everything_is_done_with_the_keyboard_alone(at_home: OpenPage) -> None:
    page = at_home().page
    expect(page.locator("#composer")).to_be_focused()
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    wait_for_answer(page)
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Control+Shift+KeyO")
    expect(page.get_by_role("heading", name="What is on your mind, Ada?")).to_be_visible()
    expect(page.locator("#composer")).to_be_focused()
    page.keyboard.press("Control+Shift+ArrowDown")
    expect(page.locator("article.question")).to_contain_text("By keyboard")
    page.keyboard.press("Control+Shift+KeyM")
    expect(page.get_by_role("combobox", name="Search models")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#composer")).to_be_focused()
    page.keyboard.press("Control+Shift+KeyS")
    expect(page.get_by_role("navigation", name="Chats")).to_have_count(0)
    page.keyboard.press("Control+Shift+KeyS")
    page.get_by_role("button", name="Options of “By keyboard”").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Rename")).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="By keyboard")).to_have_count(0)


def test_a_system_prompt_is_kept_with_its_chat(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    ask(page, "A chat with a manner")
    wait_for_answer(page)
    page.get_by_role("button", name="System prompt and parameters").click()
    with page.expect_response(lambda response: response.request.method == "PATCH"):
        page.get_by_role("textbox", name="System prompt").fill("Answer in verse.")
    watched.screenshot("workspace-panel-light-en-1280")
    page.reload()
    page.get_by_role("button", name="System prompt and parameters (changed)").click()
    expect(page.get_by_role("textbox", name="System prompt")).to_have_value("Answer in verse.")
