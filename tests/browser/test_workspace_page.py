"""The page around the talk: what it copies, and how it follows an answer."""

from __future__ import annotations

import pytest
from tests.browser.house import RICH, ask, wait_for_answer
from tests.browser.pages import OpenPage

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect


def test_an_answer_is_copied_as_written_and_its_figures_are_the_engines(at_home: OpenPage) -> None:
    page = at_home().page
    ask(page, "Why is the sky blue?")
    answer = wait_for_answer(page)
    answer.get_by_role("button", name="Copy code").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == RICH.partition("```python\n")[2].partition("\n```")[0]
    answer.get_by_role("button", name="Copy", exact=True).last.click()
    assert page.evaluate("navigator.clipboard.readText()") == RICH
    chat = page.url.partition("?chat=")[2].partition("&")[0]
    kept = page.evaluate(
        "chat => fetch(`api/chats/${chat}/messages`).then(response => response.json())", chat
    )
    usage = kept["messages"][-1]["usage"]
    shown = answer.get_by_test_id("figures-brief").get_attribute("data-tokens")
    assert int(shown) == usage["completion_tokens"]


def test_the_page_follows_the_answer_until_its_reader_goes_up(at_home: OpenPage) -> None:
    page = at_home(height=500).page
    ask(page, "Why is the sky blue?")
    wait_for_answer(page)
    scroller = page.locator("#conversation")
    page.wait_for_function("document.querySelector('#conversation').scrollTop > 0")
    scroller.hover()
    page.mouse.wheel(0, -300)
    to_end = page.get_by_role("button", name="To the newest")
    expect(to_end).to_be_visible()
    to_end.click()
    expect(to_end).to_have_count(0)
    assert scroller.evaluate("e => e.scrollHeight - e.clientHeight - e.scrollTop") < 2
