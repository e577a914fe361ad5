"""axe finds nothing serious on any page and in any dialog, in both themes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.browser.house import ask, set_up, wait_for_answer
from tests.browser.pages import OpenPage
from tests.browser.states import STATES, WAYS_IN, Seen

axe_playwright = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="no test with axe: axe-playwright-python is not installed"
)
SERIOUS = ("serious", "critical")


def findings(page: Any) -> list[str]:
    """What axe calls serious or worse: the rule and where."""
    page.wait_for_function("() => document.getAnimations().every(each => each.playState !== 'running')")
    found = axe_playwright.Axe().run(page).response["violations"]
    return [
        f"{rule['id']} at {each['target'][0]}: {each['failureSummary'][:300]}"
        for rule in found
        if rule["impact"] in SERIOUS
        for each in rule["nodes"][:3]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_ways_in(open_house: OpenPage, house_url: str, theme: str) -> None:
    watched = open_house(theme=theme)
    page = watched.page
    page.locator("#email").wait_for()
    assert findings(page) == []
    set_up(house_url)
    for name, show in WAYS_IN.items():
        page.reload()
        page.locator("#password").wait_for()
        show(Seen(page, "en"))
        assert findings(page) == [], name


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_and_dialog(at_home: OpenPage, theme: str) -> None:
    page = at_home(theme=theme, provoked=True).page  # a chat that is not there is among the states
    found = {"empty": findings(page)}
    ask(page, "Some formulas, please.")
    wait_for_answer(page).locator(".diagram img").wait_for()
    page.get_by_test_id("figures-brief").click()
    found["answer"] = findings(page)
    chat = page.url
    for name, show in STATES.items():
        page.goto(chat)
        page.locator("article.answer[data-status=done] .math.typeset").first.wait_for()
        show(Seen(page, "en"))
        found[name] = findings(page)
    assert {name: each for name, each in found.items() if each} == {}
