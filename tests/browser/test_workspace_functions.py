"""Plugin functions as their users meet them: in a real tab, against a real plugin process."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.browser.house import ADMIN, PAGE, PASSWORD, answers, ask, set_up, wait_for_answer
from tests.browser.pages import OpenPage
from tests.browser.plugins import ACTION, EVENTS, QUIET

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect

_CSV = re.compile(r"table\.csv")


@pytest.fixture(autouse=True)
def functions(house_url: str) -> None:
    """The house has the functions of these tests, on for everybody."""
    set_up(house_url)
    base = house_url.removesuffix(PAGE)
    with httpx.Client(base_url=base, headers={"origin": base.rstrip("/")}, timeout=60) as client:
        client.post("api/auth/login", json={"email": ADMIN["email"], "password": PASSWORD}).raise_for_status()
        client.patch("api/admin/settings", json={"ENABLE_FUNCTIONS_EXECUTE": True}).raise_for_status()
        for name, content in (("every_event", EVENTS), ("louder", ACTION)):
            if client.get(f"api/admin/functions/{name}").status_code == 200:
                continue
            client.post("api/admin/functions", json={"content": content, "id": name}).raise_for_status()
            switched = client.patch(f"api/admin/functions/{name}", json={"active": True, "is_global": True})
            switched.raise_for_status()


def test_what_a_function_tells_and_asks_reaches_the_reader(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    chip = page.get_by_role("button", name="Every event")
    expect(chip).to_have_attribute("aria-pressed", "false")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "true")
    ask(page, "Hello there")

    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Go on?")
    expect(dialog.locator("strong")).to_have_text("long")
    watched.screenshot("workspace-function-asks-light-en-1280")
    dialog.get_by_role("button", name="Confirm").press("Enter")
    expect(dialog.get_by_role("heading")).to_have_text("A name")
    field = dialog.get_by_role("textbox")
    expect(field).to_be_focused()
    expect(field).to_have_value("Ada")
    field.fill("Grace")
    field.press("Enter")

    answer = wait_for_answer(page)
    expect(page.locator(".notice")).to_contain_text("It was True for Grace")
    expect(answer.locator(".prose").first).to_contain_text("Grace says:")
    expect(answer.locator(".prose").last).to_contain_text("Signed by a function.")
    expect(answer.locator(".status button")).to_have_text("Ready")
    answer.locator(".status button").click()
    expect(answer.locator(".status li")).to_have_count(3)
    expect(answer.locator(".status li").nth(1)).to_contain_text("Found 2 for owls<img src=x")
    answer.locator(".sources summary").click()
    expect(answer.locator(".sources li")).to_have_count(2)
    expect(answer.get_by_role("link", name="source book")).to_have_attribute(
        "href", "https://example.org/one"
    )
    expect(answer.get_by_role("link", name="citation book")).to_have_count(0)
    expect(answer.locator("img[alt=dot]")).to_have_js_property("naturalWidth", 1)
    expect(answer.get_by_role("link", name=_CSV)).to_have_attribute("download", "table.csv")
    expect(answer.get_by_role("link", name="Open https://example.org/page")).to_be_visible()
    frame = answer.frame_locator("iframe")
    expect(frame.locator("#reach")).to_have_text("closed")
    page.wait_for_function("() => document.querySelector('article iframe').offsetHeight > 250")
    watched.screenshot("workspace-function-parts-light-en-1280")

    page.reload()
    expect(answers(page).last.locator(".sources")).to_be_visible()
    expect(answers(page).last.frame_locator("iframe").locator("#shown")).to_have_text("A chart")
    expect(page.get_by_role("button", name="Every event")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("window.hacked") is None


def test_a_no_and_a_script(at_home: OpenPage) -> None:
    page = at_home().page
    page.get_by_role("button", name="Every event").click()
    ask(page, "Hello")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text("A name")
    page.keyboard.press("Escape")
    wait_for_answer(page)
    expect(page.locator(".notice")).to_contain_text("It was False for False")
    ask(page, "Please run a script")
    expect(wait_for_answer(page).locator(".status")).to_have_text("42 and ['error']")


def test_an_action_changes_an_answer_with_the_readers_own_settings(at_home: OpenPage) -> None:
    watched = at_home(provoked=True)
    page = watched.page
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("menuitem", name="Settings").click()
    page.get_by_role("tab", name="Functions").click()
    page.get_by_label("How often").fill("3")
    page.get_by_role("button", name="Save the settings").click()
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    watched.screenshot("workspace-function-settings-light-en-1280")
    page.keyboard.press("Escape")

    ask(page, "Hello")
    answer = wait_for_answer(page)
    said = answer.locator(".prose").inner_text()
    louder = answer.get_by_role("button", name="Louder")
    louder.click()
    expect(answer.locator(".status")).to_have_text("Thinking loudly")
    expect(louder).to_have_attribute("aria-busy", "true")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("You said no, so nothing is louder.")
    expect(answer.locator(".prose")).to_have_text(said)
    louder.click()
    page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    expect(answer.locator(".prose")).to_have_text(said.upper() + "!!!")
    page.reload()
    expect(answers(page).last.locator(".prose")).to_have_text(said.upper() + "!!!")


@pytest.mark.parametrize("options", [{"width": 375, "locale": "zh-CN", "theme": "dark"}])
def test_functions_on_a_small_screen_in_chinese(at_home: OpenPage, options: dict[str, Any]) -> None:
    watched = at_home(**options)
    page = watched.page
    page.get_by_role("button", name="Every event").click()
    watched.screenshot("workspace-function-chips-dark-zh-375")
    ask(page, "你好")
    page.get_by_role("dialog").get_by_role("button", name="确认").click()
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_visible()
    watched.screenshot("workspace-function-asks-dark-zh-375")
    page.get_by_role("dialog").get_by_role("button", name="发送").click()
    wait_for_answer(page).locator(".sources summary").click()
    watched.screenshot("workspace-function-parts-dark-zh-375")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_an_administrator_brings_functions_in_and_gives_them_to_a_model(
    at_home: OpenPage, house_url: str, tmp_path: Path
) -> None:
    watched = at_home()
    page = watched.page
    page.goto(f"{house_url}?admin=functions")
    (tmp_path / "quiet.py").write_text(QUIET)
    entry = {"id": "calm", "name": "Calm", "type": "action", "content": ACTION, "meta": {}}
    broken = {"id": "broken", "name": "Broken", "content": "import nothing_like_it"}
    (tmp_path / "export.json").write_text(json.dumps([entry, broken]))
    page.get_by_label("Import").set_input_files([tmp_path / "quiet.py", tmp_path / "export.json"])
    expect(page.get_by_text("2 functions came in, switched off.")).to_be_visible()
    expect(page.get_by_text(re.compile("^Not taken: Broken. .*nothing_like_it"))).to_be_visible()
    watched.screenshot("workspace-functions-admin-light-en-1280")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export all").click()
    kept = json.loads(download.value.path().read_text())
    assert {"quiet", "calm", "louder", "every_event"} <= {each["id"] for each in kept}
    for name in ("Quiet", "Calm"):
        page.get_by_role("switch", name=f"{name} is on").check()
        expect(page.get_by_role("switch", name=f"{name} is on")).to_be_checked()

    page.goto(f"{house_url}?admin=models")
    page.get_by_role("button", name="Edit scripted").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("group", name="Filters for this model").get_by_label("Quiet").check()
    dialog.get_by_role("group", name="Filters that are on in new chats").get_by_label("Quiet").check()
    dialog.get_by_label("Calm").check()
    dialog.get_by_label("As its server says").uncheck()
    dialog.get_by_label("It sees pictures").check()
    watched.screenshot("workspace-functions-model-light-en-1280")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    page.goto(house_url)
    expect(page.get_by_role("button", name="Quiet")).to_have_attribute("aria-pressed", "true")
    ask(page, "Hello")
    answer = wait_for_answer(page)
    expect(answer.locator(".prose")).to_have_text("(quietly)")
    expect(answer.get_by_role("button", name="Calm")).to_be_visible()
