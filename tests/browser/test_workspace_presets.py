"""Presets and a reader's own connections, as a person makes them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.browser.house import ask, set_up, sign_in, wait_for_answer
from tests.browser.pages import OpenPage

sync_api = pytest.importorskip("playwright.sync_api")
expect: Any = sync_api.expect


def open_menu(page: Any, entry: str) -> None:
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("menuitem", name=entry).click()


def test_a_preset_is_made_of_the_open_chat_chosen_changed_and_deleted(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    open_menu(page, "Presets")
    page.get_by_role("button", name="New preset").click()
    expect(page.get_by_label("Model", exact=True)).to_have_value("scripted")
    page.get_by_label("Name", exact=True).fill("Meteorologist")
    page.get_by_label("Icon").fill("⛅")
    page.get_by_role("textbox", name="System prompt").fill("You speak of the sky alone.")
    page.get_by_label("Most tokens").fill("400")
    watched.screenshot("preset-light-en-1280")
    page.get_by_role("button", name="Save").click()
    card = page.get_by_test_id("preset")
    expect(card).to_contain_text("⛅ Meteorologist")
    watched.screenshot("presets-light-en-1280")
    page.get_by_role("button", name="Close", exact=True).click()

    page.get_by_test_id("models").click()
    page.get_by_role("option", name=re.compile("Meteorologist")).click()
    ask(page, "What do you speak of?")
    expect(wait_for_answer(page)).to_contain_text("Light scatters more")  # the system prompt was sent

    open_menu(page, "Presets")
    page.get_by_role("button", name="Edit Meteorologist").click()
    expect(page.get_by_label("Most tokens")).to_have_value("400")
    page.get_by_label("Name", exact=True).fill("Weather")
    page.get_by_role("button", name="Save").click()
    expect(card).to_contain_text("Weather")
    page.get_by_role("button", name="Delete Weather").click()
    page.get_by_role("dialog").last.get_by_role("button", name="Delete", exact=True).click()
    expect(card).to_have_count(0)


def test_presets_in_chinese_on_a_narrow_page(at_home: OpenPage) -> None:
    watched = at_home(locale="zh-CN", width=375, theme="dark")
    page = watched.page
    page.get_by_role("button", name="打开侧栏").click()
    page.get_by_role("button", name="账号与设置").click()
    page.get_by_role("menuitem", name="模型预设").click()
    page.get_by_role("button", name="新建预设").click()
    watched.screenshot("preset-dark-zh-375")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_reader_adds_a_connection_of_their_own(open_house: OpenPage, house_url: str) -> None:
    set_up(house_url)
    watched = open_house(provoked=True)
    sign_in(watched)
    page = watched.page
    open_menu(page, "Settings")
    page.get_by_role("tab", name="Connections").click()
    page.get_by_role("button", name="Add a connection").click()
    page.get_by_label("Address").fill("http://127.0.0.1:9/v1")
    page.get_by_role("button", name="Save and test").click()
    told = page.get_by_test_id("connection").get_by_role("status")
    expect(told).to_contain_text("It does not work.")
    watched.screenshot("own-connections-light-en-1280")
    page.get_by_role("button", name="Delete 127.0.0.1").click()
    page.get_by_role("dialog").last.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_test_id("connection")).to_have_count(0)
