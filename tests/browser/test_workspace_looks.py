"""What the workspace looks like: both themes, both languages, three widths. The pictures are kept."""

from __future__ import annotations

import pytest
from tests.browser.house import answers, ask, set_up, wait_for_answer, wait_for_words
from tests.browser.pages import OpenPage
from tests.browser.states import STATES, WAYS_IN, Seen

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect

WIDTHS = ((375, 740), (768, 1024), (1920, 1080))
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


#: What is reached through the sidebar, which narrow windows have over the page.
DRAWER = {name for name in STATES if name.startswith("account")} | {
    "prompts",
    "presets",
    "preset-form",
    "search",
    "import",
}


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
        assert not page.evaluate(WIDER), f"{what} is wider than the window"

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


@pytest.mark.parametrize(("width", "height"), WIDTHS)
@pytest.mark.parametrize(("locale", "theme"), [("en-US", "light"), ("zh-CN", "dark")])
def test_no_page_and_no_dialog_is_wider_than_the_window(
    at_home: OpenPage, width: int, height: int, locale: str, theme: str
) -> None:
    watched = at_home(width=width, height=height, locale=locale, theme=theme, provoked=True)
    page = watched.page
    ask(page, "Some formulas, please.")
    expect(wait_for_answer(page).locator(".diagram img")).to_be_visible()
    chat = page.url
    wide = []
    for name, show in STATES.items():
        page.goto(chat)
        expect(page.locator(".math.typeset").first).to_be_attached()
        if width < 960 and name in DRAWER:
            page.keyboard.press("Control+Shift+KeyS")
        show(Seen(page, locale[:2]))
        watched.screenshot(f"states-{name}-{theme}-{locale[:2]}-{width}")
        wide += [name] if page.evaluate(WIDER) else []
    assert wide == []


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize(("locale", "theme"), [("en-US", "dark"), ("zh-CN", "light")])
def test_no_way_in_is_wider_than_the_window(
    open_house: OpenPage, house_url: str, width: int, locale: str, theme: str
) -> None:
    set_up(house_url)
    watched = open_house(width=width, locale=locale, theme=theme)
    page = watched.page
    for name, show in WAYS_IN.items():
        page.reload()
        page.locator("#password").wait_for()
        show(Seen(page, locale[:2]))
        watched.screenshot(f"ways-in-{name}-{theme}-{locale[:2]}-{width}")
        assert not page.evaluate(WIDER), name


def test_a_page_at_twice_its_size_is_whole(at_home: OpenPage) -> None:
    """200 % on a window of 1,280 by 800 is one of 640 by 400."""
    watched = at_home(width=640, height=400)
    page = watched.page
    ask(page, "Some formulas, please.")
    wait_for_answer(page)
    watched.screenshot("workspace-zoom-light-en-640")
    assert not page.evaluate(WIDER)
    expect(page.locator("#composer")).to_be_in_viewport()
    expect(page.locator("article.answer footer").last).to_be_in_viewport()


def test_a_chat_on_paper_is_what_was_said(at_home: OpenPage) -> None:
    watched = at_home(theme="dark")
    page = watched.page
    ask(page, "Some formulas, please.")
    expect(wait_for_answer(page).locator(".diagram img")).to_be_visible()
    page.emulate_media(media="print")
    watched.screenshot("workspace-print-dark-en-1280")
    expect(page.locator("#composer")).to_be_hidden()
    expect(page.locator("#sidebar")).to_be_hidden()
    expect(page.locator("article footer").first).to_be_hidden()
    # Nothing is left in a box that scrolls: paper has no bar.
    height = page.evaluate("document.documentElement.scrollHeight")
    answer = page.locator("article.answer").last.bounding_box() or {}
    assert answer["y"] + answer["height"] <= height
    assert page.locator("body").evaluate("element => getComputedStyle(element).color") == "rgb(24, 33, 30)"
