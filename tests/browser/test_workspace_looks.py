"""What the workspace looks like: both themes, both languages, three widths. The pictures are kept."""

from __future__ import annotations

import pytest
from tests.browser.house import answers, ask, wait_for_answer, wait_for_words
from tests.browser.pages import OpenPage

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect

WIDTHS = ((375, 740), (1024, 768), (1920, 1080))


@pytest.mark.parametrize(("width", "height"), WIDTHS)
@pytest.mark.parametrize(("locale", "theme"), [("en-US", "dark"), ("zh-CN", "light"), ("zh-CN", "dark")])
def test_nothing_is_wider_than_the_window(
    at_home: OpenPage, width: int, height: int, locale: str, theme: str
) -> None:
    watched = at_home(width=width, height=height, locale=locale, theme=theme)
    page = watched.page
    name = f"workspace-{{}}-{theme}-{locale[:2]}-{width}"

    def keep(what: str) -> None:
        watched.screenshot(name.format(what))
        wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(wider), f"{what} is wider than the window"

    keep("empty")
    ask(page, "Why is the sky blue?")
    wait_for_answer(page)
    page.get_by_test_id("figures-brief").last.click()
    keep("answer")
    ask(page, "Please think about something endless.")
    expect(answers(page)).to_have_count(2)
    wait_for_words(page, 20)
    keep("streaming")
    page.keyboard.press("Escape")
    wait_for_answer(page, "stopped")
    if width < 960:
        page.keyboard.press("Control+Shift+KeyS")
        keep("sidebar")
        page.keyboard.press("Escape")
    page.get_by_test_id("models").click()
    keep("models")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+/")
    keep("shortcuts")
    page.keyboard.press("Escape")
    page.locator("[aria-expanded]").and_(page.locator("header.bar .icon-button")).last.click()
    keep("panel")
