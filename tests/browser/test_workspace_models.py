"""Several models side by side in the workspace."""

from __future__ import annotations

import httpx
import pytest
from tests.browser.house import ADMIN, PAGE, PASSWORD, ask, set_up
from tests.browser.pages import OpenPage

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect


@pytest.fixture
def two_models(house_url: str) -> str:
    """A house with the scripted model and a preset of it; gives the preset's name."""
    base = house_url.removesuffix(PAGE)
    set_up(house_url)
    with httpx.Client(base_url=base) as client:
        client.post("api/auth/login", json={"email": ADMIN["email"], "password": PASSWORD}).raise_for_status()
        if any(model["name"] == "Poet" for model in client.get("api/models").json()["models"]):
            return "Poet"
        preset = {"base_id": "scripted", "name": "Poet", "system": "In verse."}
        client.post("api/presets", json=preset).raise_for_status()
    return "Poet"


def test_models_answer_side_by_side_and_one_is_gone_on_with(two_models: str, at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    page.get_by_test_id("models").click()
    page.get_by_label("Compare several models").check()
    page.get_by_role("option", name=two_models).click()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("models")).to_contain_text("2 models")
    ask(page, "Why is the sky blue?")
    columns = page.get_by_role("group", name="Answers side by side")
    expect(columns.locator("article[data-status=done]")).to_have_count(2)
    watched.screenshot("workspace-columns-light-en-1280")
    columns.get_by_role("button", name="Go on with this answer").click()
    expect(columns.locator("article").last).to_have_attribute("aria-label", f"Answer: {two_models}")
    page.reload()
    expect(columns.locator("article[data-status=done]")).to_have_count(2)
    expect(columns.get_by_role("button", name="The chat goes on with this answer")).to_have_count(1)
    ask(page, "And at night?")
    expect(columns.locator("article[data-status=done]")).to_have_count(2)
    expect(page.locator("article.question")).to_have_count(2)


def test_an_answer_among_others_has_versions_in_its_own_column(two_models: str, at_home: OpenPage) -> None:
    watched = at_home(width=375, height=740, locale="en-US", theme="dark")
    page = watched.page
    page.get_by_test_id("models").click()
    page.get_by_label("Compare several models").check()
    page.get_by_role("option", name=two_models).click()
    page.keyboard.press("Escape")
    ask(page, "你好")
    columns = page.get_by_role("group", name="Answers side by side")
    done = columns.locator("article[data-status=done]")
    expect(done).to_have_count(2)
    # Narrow windows have them below each other.
    boxes = [done.nth(index).bounding_box() or {} for index in (0, 1)]
    assert boxes[0]["x"] == boxes[1]["x"]
    assert boxes[0]["y"] < boxes[1]["y"]
    watched.screenshot("workspace-columns-dark-en-375")

    first = [done.nth(index).get_attribute("data-id") for index in (0, 1)]
    done.last.get_by_role("button", name="Regenerate").click()
    versions = columns.get_by_test_id("versions")
    expect(versions).to_contain_text("2/2")
    expect(done).to_have_count(2)
    expect(done.first).to_have_attribute("data-id", first[0] or "")
    expect(columns.get_by_role("button", name="The chat goes on with this answer")).to_have_count(1)
    page.reload()
    expect(done).to_have_count(2)
    versions.get_by_role("button", name="Previous version").click()
    expect(done.last).to_have_attribute("data-id", first[1] or "")
    expect(versions).to_contain_text("1/2")
