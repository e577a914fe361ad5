"""The page itself: languages, themes, widths, keys, copying.

Its conversation is a kept one, so that no word depends on a model.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.browser.pages import OpenPage

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect

CODE = "def tower(storeys):\n    return [4.2 * 0.87**n for n in range(storeys)]"
MARKDOWN = f"""## Why a pagoda stands

A pagoda is a **tower of storeys**; its eaves keep `rain()` away. 佛塔是一层层叠起的塔。

| Storey | Height | What it keeps, told at some length so that the table is wide |
|:--|--:|:--|
| First | 4.2 m | The gate and the guardians |

1. Joints without nails.
2. A heavy roof:
   - tiles,
   - clay.

```python
{CODE}
```

![a picture](https://example.org/tower.png) and <img src="https://example.org/x.png"> stay where they are.
"""


def kept_conversation() -> dict[str, str]:
    answer = {
        "id": "2",
        "role": "assistant",
        "content": MARKDOWN,
        "reasoning": "",
        "reasoningTime": None,
        "status": "done",
        "finishReason": "stop",
        "failure": None,
        "model": "kept",
        "usage": {"promptTokens": 38, "completionTokens": 281, "cachedTokens": 32},
        "timing": {"total": 2.5, "firstToken": 0.3, "queue": 0.001, "tokensPerSecond": 127.4},
    }
    question = {"id": "1", "role": "user", "content": "Why does a pagoda stand?"}
    return {"pagoda.conversation": json.dumps({"version": 1, "messages": [question, answer]})}


def overflow(page: Any) -> int:
    """Pixels that the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("width", [375, 768, 1920])
def test_every_width_theme_and_language_shows_a_whole_page(
    open_page: OpenPage, width: int, locale: str, theme: str
) -> None:
    watched = open_page(width=width, height=900, locale=locale, theme=theme, storage=kept_conversation())
    page = watched.page
    expect(page.get_by_test_id("model-name")).to_be_visible()
    expect(page.locator(".hljs-keyword").first).to_be_visible()
    assert page.locator("html").get_attribute("lang") == ("en" if locale == "en-US" else "zh-CN")
    assert overflow(page) <= 0
    watched.screenshot(f"conversation-{theme}-{locale}-{width}")
    dark = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] < 128"
    )
    assert dark is (theme == "dark")


def test_an_answer_is_shown_as_markdown_and_loads_nothing_from_elsewhere(open_page: OpenPage) -> None:
    watched = open_page(storage=kept_conversation())
    prose = watched.page.locator(".prose")
    expect(prose.locator("h2")).to_have_text("Why a pagoda stands")
    expect(prose.locator("table td").first).to_have_text("First")
    expect(prose.locator("ol > li")).to_have_count(2)
    expect(prose.locator("img")).to_have_count(0)
    expect(prose.get_by_role("link", name="a picture")).to_have_attribute("rel", "noopener noreferrer")
    expect(prose).to_contain_text('<img src="https://example.org/x.png">')


def test_code_and_answers_are_copied_as_written(open_page: OpenPage) -> None:
    page = open_page(storage=kept_conversation()).page
    page.get_by_role("button", name="Copy code").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == CODE
    page.get_by_role("article", name="Answer").locator("footer").get_by_role("button", name="Copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == MARKDOWN


def test_language_and_theme_are_chosen_in_settings_and_kept(open_page: OpenPage) -> None:
    watched = open_page(storage=kept_conversation())
    page = watched.page
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("简体中文").click()
    page.get_by_text("深色").click()
    expect(page.get_by_role("heading", name="设置")).to_be_visible()
    watched.screenshot("settings-dark-zh-CN-1280")
    page.keyboard.press("Escape")
    for _ in range(2):
        expect(page.get_by_role("textbox", name="消息")).to_be_visible()
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        page.reload()


def test_enter_that_confirms_an_input_method_does_not_send(open_page: OpenPage) -> None:
    page = open_page().page
    expect(page.get_by_test_id("model-name")).to_be_visible()
    field = page.get_by_role("textbox", name="Message")
    field.fill("ni hao")
    for event in ({"isComposing": True}, {"keyCode": 229}):
        field.evaluate(
            "(element, init) => element.dispatchEvent(new KeyboardEvent('keydown',"
            " { key: 'Enter', bubbles: true, cancelable: true, ...init }))",
            event,
        )
    expect(field).to_have_value("ni hao")
    expect(page.get_by_role("article")).to_have_count(0)


def test_keys(open_page: OpenPage) -> None:
    page = open_page(storage=kept_conversation()).page
    expect(page.get_by_test_id("model-name")).to_be_visible()
    field = page.get_by_role("textbox", name="Message")
    expect(field).to_be_focused()
    field.press("a")
    field.press("Shift+Enter")
    field.press("?")
    expect(field).to_have_value("a\n?")
    field.press("Control+/")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    page.keyboard.press("Control+Shift+O")
    expect(page.get_by_role("article")).to_have_count(0)


@pytest.mark.parametrize("width", [375, 1280])
def test_every_control_has_a_name_and_panels_open_and_close(open_page: OpenPage, width: int) -> None:
    watched = open_page(width=width, storage=kept_conversation())
    page = watched.page
    expect(page.get_by_test_id("model-name")).to_be_visible()
    page.get_by_role("button", name="Parameters").click()
    expect(page.get_by_label("System prompt")).to_be_visible()
    assert overflow(page) <= 0
    watched.screenshot(f"parameters-light-en-{width}")
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea, select, meter')]
            .filter((element) => !element.labels?.length)
            .filter((element) => !(element.getAttribute('aria-label') || element.innerText))
            .map((element) => element.outerHTML)"""
    )
    assert unnamed == []
    page.get_by_role("button", name="Close parameters").click()
    if width == 375:
        page.get_by_role("button", name="Open the sidebar").click()
        expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
        watched.screenshot("sidebar-light-en-375")
        page.keyboard.press("Escape")
        expect(page.get_by_role("navigation", name="Conversations")).to_have_count(0)


def test_the_page_follows_the_answer_until_its_reader_goes_up(open_page: OpenPage) -> None:
    page = open_page(height=500, storage=kept_conversation()).page
    scroller = page.locator("#conversation")
    expect(page.locator(".hljs-keyword").first).to_be_visible()
    page.wait_for_function("document.querySelector('#conversation').scrollTop > 0")
    scroller.hover()
    page.mouse.wheel(0, -300)
    to_end = page.get_by_role("button", name="To the newest")
    expect(to_end).to_be_visible()
    to_end.click()
    expect(to_end).to_have_count(0)
    assert scroller.evaluate("e => e.scrollHeight - e.clientHeight - e.scrollTop") < 2
