"""The page around the talk: what it shows, copies and keeps out, how it follows, and an API key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.browser.conftest import opener
from tests.browser.house import RICH, ask, set_up, sign_in, wait_for_answer, workspace_server
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
    page.wait_for_function("() => document.querySelector('#conversation').scrollTop > 0")
    scroller.hover()
    page.mouse.wheel(0, -300)
    to_end = page.get_by_role("button", name="To the newest")
    expect(to_end).to_be_visible()
    to_end.click()
    expect(to_end).to_have_count(0)
    assert scroller.evaluate("e => e.scrollHeight - e.clientHeight - e.scrollTop") < 2


def test_parameters_reach_the_server_and_a_talk_that_is_too_long_is_said_in_a_sentence(
    at_home: OpenPage,
) -> None:
    page = at_home(provoked=True).page
    page.get_by_role("button", name="System prompt and parameters").click()
    page.get_by_role("textbox", name="System prompt").fill("Answer with one word.")
    with page.expect_request("**/generate") as request:
        ask(page, "What colour is grass?")
    assert "Answer with one word." in (request.value.post_data or "")
    wait_for_answer(page)
    ask(page, "word " * 40_000)
    expect(wait_for_answer(page, "failed").get_by_role("alert")).to_contain_text("context")


@pytest.mark.parametrize("width", [375, 1280])
def test_every_control_has_a_name(at_home: OpenPage, width: int) -> None:
    page = at_home(width=width).page
    ask(page, "Why is the sky blue?")
    wait_for_answer(page)
    page.locator("#composer").fill("a")
    page.locator("#composer").press("Shift+Enter")
    page.locator("#composer").press("?")
    expect(page.locator("#composer")).to_have_value("a\n?")
    page.get_by_role("button", name="System prompt and parameters").click()
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input, textarea, select, meter')]
            .filter((element) => !element.labels?.length)
            .filter((element) => !(element.getAttribute('aria-label') || element.innerText))
            .filter((element) => !element.getAttribute('aria-labelledby') && !element.hidden)
            .map((element) => element.outerHTML)"""
    )
    assert unnamed == []


def test_with_an_api_key_the_page_needs_none_and_the_api_does(chromium: Any, tmp_path: Path) -> None:
    with workspace_server(tmp_path, "--api-key", "sesame") as url:
        set_up(url)
        with opener(chromium, url) as open_house:
            watched = open_house(provoked=True)
            sign_in(watched)
            ask(watched.page, "Hello?")
            expect(wait_for_answer(watched.page).locator(".prose")).to_contain_text("How can I help")
            assert watched.page.evaluate("fetch('v1/models').then(response => response.status)") == 401
        allowed = httpx.get(f"{url}v1/models", headers={"Authorization": "Bearer sesame"})
        assert allowed.status_code == 200


def test_files_of_the_page_come_with_a_strict_policy(house_url: str) -> None:
    page = httpx.get(house_url)
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    licences = httpx.get(f"{house_url}THIRD_PARTY_LICENSES.txt")
    assert all(name in licences.text for name in ("svelte", "dompurify", "highlight.js"))


def test_an_answer_runs_nothing_and_loads_nothing_from_elsewhere(at_home: OpenPage) -> None:
    page = at_home().page  # which complains of every request to another host
    ask(page, "Show me something from elsewhere.")
    prose = wait_for_answer(page).locator(".prose")
    expect(prose).to_contain_text('<img src="https://example.org/y.png" onerror="alert(1)">')
    expect(prose.locator("img, script")).to_have_count(0)
    expect(prose.get_by_role("link", name="a picture")).to_have_attribute("rel", "noopener noreferrer")
    expect(prose.get_by_role("link", name="another")).to_have_attribute("target", "_blank")
    expect(prose.get_by_role("link", name="a link")).to_have_count(0)
    expect(page).not_to_have_title("taken")


def test_an_answer_that_breaks_off_keeps_its_words_and_the_talk_goes_on(at_home: OpenPage) -> None:
    page = at_home(provoked=True).page
    ask(page, "This one breaks off.")
    answer = wait_for_answer(page, "failed")
    expect(answer).to_contain_text("word1")
    expect(answer.get_by_role("alert")).to_be_visible()
    ask(page, "Why is the sky blue?")
    expect(wait_for_answer(page).locator(".prose")).to_contain_text("Light scatters more")
