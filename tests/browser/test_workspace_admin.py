"""The administration: what an administrator does in the page, against a real server."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.browser.house import ADMIN, PAGE, set_up, sign_in, workspace_server
from tests.browser.pages import OpenPage, Watched

playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser test: the Python package playwright is not installed"
)
expect = playwright.expect

OpenSection = Callable[..., Watched]

FILTER = """\"\"\"
title: Shout
version: 1.0
description: Says it louder
\"\"\"
from pydantic import BaseModel, Field


class Filter:
    class Valves(BaseModel):
        loudness: int = Field(1, title="How loud")
        token: str = Field("", json_schema_extra={"input": {"type": "password"}})
        mark: str = Field("!", json_schema_extra={"input": {"type": "select", "options": ["!", "?"]}})
        places: list[str] = Field(
            [], json_schema_extra={"input": {"type": "multiselect", "options": ["ends", "middle"]}}
        )

    def __init__(self):
        self.valves = self.Valves()

    def inlet(self, body: dict) -> dict:
        return body
"""


@pytest.fixture
def administration(at_home: OpenPage) -> OpenSection:
    """Opens a section of the administration."""

    def open_section(section: str, **options: Any) -> Watched:
        watched = at_home(**options)
        address = urlsplit(watched.page.url)._replace(query=f"admin={section}", fragment="").geturl()
        watched.page.goto(address)
        expect(watched.page.locator("main h1")).to_be_visible()
        return watched

    return open_section


@pytest.fixture
def api(house_url: str, at_home: OpenPage) -> Iterator[httpx.Client]:
    """The administrator, without a page."""
    with httpx.Client(base_url=house_url.removesuffix(PAGE)) as client:
        if client.get("api/config").json()["setup_required"]:
            client.post("api/setup", json=ADMIN).raise_for_status()
        login = {name: ADMIN[name] for name in ("email", "password")}
        client.post("api/auth/login", json=login).raise_for_status()
        yield client


def row(page: Any, name: str) -> Any:
    return page.get_by_test_id("user").filter(has_text=name)


def add_user(api: httpx.Client, name: str, role: str = "user") -> str:
    email = f"{name.lower()}@example.org"
    body = {"name": name, "email": email, "role": role, "password": "a long password"}
    response = api.post("api/admin/users", json=body)
    response.raise_for_status()
    return str(response.json()["id"])


def test_the_way_in_is_the_account_menu(at_home: OpenPage) -> None:
    watched = at_home()
    page = watched.page
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("menuitem", name="Administration").click()
    expect(page.get_by_role("heading", name="Users", level=1)).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?admin=users"))
    page.get_by_role("navigation", name="Administration").get_by_role("link", name="Groups").click()
    expect(page.get_by_role("heading", name="Groups", level=1)).to_be_focused()
    page.go_back()
    expect(page.get_by_role("heading", name="Users", level=1)).to_be_visible()
    page.get_by_role("link", name="Back to the chats").click()
    expect(page.locator("#composer")).to_be_visible()


def test_a_user_is_made_edited_searched_and_deleted(administration: OpenSection) -> None:
    watched = administration("users")
    page = watched.page
    page.get_by_role("button", name="Add a user").click()
    page.get_by_label("Name", exact=True).fill("Grace")
    page.get_by_label("E-mail", exact=True).fill("grace@example.org")
    page.get_by_role("button", name="Add", exact=True).click()
    secret = page.get_by_test_id("secret").inner_text()
    assert len(secret) >= 12
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("secret")).to_have_count(0)
    grace = row(page, "Grace")
    expect(grace).to_contain_text("User")

    page.get_by_role("button", name="Edit Grace").click()
    page.get_by_label("Role").last.select_option("admin")
    page.get_by_role("switch", name="The account may be used").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(grace).to_contain_text("Administrator")
    expect(grace).to_contain_text("Deactivated")
    watched.screenshot("admin-users-light-en-1280")

    page.get_by_role("searchbox").fill("nobody at all")
    expect(page.get_by_text("Nobody is called like this.")).to_be_visible()
    page.get_by_role("searchbox").fill("grace")
    expect(page.get_by_test_id("user")).to_have_count(1)

    page.get_by_role("button", name="Delete Grace").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nobody is called like this.")).to_be_visible()


def test_somebody_who_waits_is_approved(administration: OpenSection, api: httpx.Client) -> None:
    add_user(api, "Wendy", "pending")
    page = administration("users").page
    page.get_by_role("button", name="Approve Wendy").click()
    expect(page.get_by_text("Wendy can sign in now.")).to_be_visible()
    expect(page.get_by_role("button", name="Approve Wendy")).to_have_count(0)


def test_a_new_password_is_shown_once_and_lets_its_owner_in(
    administration: OpenSection, api: httpx.Client, house_url: str
) -> None:
    add_user(api, "Paul")
    page = administration("users").page
    page.get_by_role("button", name="Reset the password of Paul?").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset the password").click()
    secret = page.get_by_test_id("secret").inner_text()
    login = {"email": "paul@example.org", "password": secret}
    httpx.post(f"{house_url.removesuffix(PAGE)}api/auth/login", json=login).raise_for_status()


def test_the_last_administrator_stays_one_and_the_page_says_why(administration: OpenSection) -> None:
    page = administration("users", provoked=True).page
    page.get_by_role("button", name=f"Edit {ADMIN['name']}").click()
    page.get_by_label("Role").last.select_option("user")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("last administrator")


def test_an_invitation_is_a_link_that_is_shown_once(administration: OpenSection) -> None:
    watched = administration("users")
    page = watched.page
    page.get_by_role("button", name="Invite somebody").click()
    page.get_by_label("For the e-mail address").fill("ivy@example.org")
    page.get_by_role("dialog").get_by_role("button", name="Invite somebody").click()
    assert "invitation=" in page.get_by_test_id("secret").inner_text()
    page.keyboard.press("Escape")
    expect(page.get_by_role("row", name=re.compile("ivy@example.org"))).to_contain_text("Open")
    page.get_by_role("button", name="Take back the invitation for ivy@example.org").click()
    page.get_by_role("dialog").get_by_role("button", name="Take back").click()
    expect(page.get_by_text("ivy@example.org")).to_have_count(0)


def test_a_group_has_permissions_and_members(administration: OpenSection, api: httpx.Client) -> None:
    user_id = add_user(api, "Mona")
    watched = administration("groups")
    page = watched.page
    page.get_by_role("button", name="Make a group").click()
    page.get_by_label("Name", exact=True).fill("Researchers")
    page.get_by_label("Add connections of their own").check()
    page.get_by_role("button", name="Save").click()
    card = page.get_by_test_id("group").filter(has_text="Researchers")
    expect(card).to_contain_text("Add connections of their own")

    card.get_by_role("button", name="0 members").click()
    card.get_by_label("Add a member").fill("mona")
    card.get_by_role("button", name=re.compile("Mona")).click()
    expect(card.get_by_role("button", name="1 member")).to_be_visible()
    watched.screenshot("admin-groups-light-en-1280")
    assert len(api.get(f"api/admin/users/{user_id}").json()["groups"]) == 1
    card.get_by_role("button", name="Remove Mona").click()
    expect(card.get_by_role("button", name="0 members")).to_be_visible()

    page.get_by_role("button", name="Delete Researchers").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)


def test_settings_are_saved_and_go_back_to_their_defaults(
    administration: OpenSection, api: httpx.Client
) -> None:
    watched = administration("settings")
    page = watched.page
    save = page.get_by_role("button", name="Save")
    expect(page.get_by_label("Name of the house")).to_have_value("Pagoda")
    expect(save).to_be_disabled()
    # every one of them has a name in the page's language
    expect(page.locator("main label").filter(has_text=re.compile("^[A-Z]+(_[A-Z]+)+$"))).to_have_count(0)
    page.get_by_label("Name of the house").fill("The lab")
    page.get_by_role("switch", name="Titles of chats").check()
    expect(page.get_by_text("2 changes are not saved yet.")).to_be_visible()
    save.click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert api.get("api/config").json()["name"] == "The lab"
    expect(page).to_have_title(re.compile("The lab"))
    watched.screenshot("admin-settings-light-en-1280")
    page.get_by_role("button", name="Name of the house: back to the default").click()
    page.get_by_role("button", name="Titles of chats: back to the default").click()
    save.click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert api.get("api/config").json()["name"] == "Pagoda"


def test_a_setting_of_the_environment_is_locked_and_says_why(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBUI_NAME", "The fixed house")
    monkeypatch.setenv("OPENAI_API_BASE_URL", "http://127.0.0.1:9/v1")
    with workspace_server(tmp_path) as url:
        set_up(url)
        page = chromium.new_page()
        page.goto(url)
        sign_in(Watched(page, url))
        page.goto(f"{url}?admin=settings")
        name = page.get_by_label("Name of the house")
        expect(name).to_be_disabled()
        expect(name).to_have_value("The fixed house")
        expect(name).to_have_accessible_description(re.compile("Locked: the environment variable WEBUI_NAME"))
        page.goto(f"{url}?admin=connections")
        card = page.get_by_test_id("connection")
        expect(card).to_contain_text("OPENAI_API_BASE_URL")
        expect(card.get_by_role("button", name=re.compile("^Edit"))).to_be_disabled()
        page.close()


def test_a_connection_is_tested_when_it_is_saved(administration: OpenSection, house_url: str) -> None:
    """The house's own server is an OpenAI-compatible one."""
    watched = administration("connections")
    page = watched.page
    page.get_by_role("button", name="Add a connection").click()
    page.get_by_label("Address").fill(house_url.removesuffix(PAGE) + "v1")
    page.get_by_label("Name", exact=True).fill("Next door")
    page.get_by_label("Prefix").fill("next")
    page.get_by_role("button", name="Save and test").click()
    card = page.get_by_test_id("connection").filter(has_text="Next door")
    expect(card).to_contain_text(re.compile("It answers: 1 model"))
    expect(card).to_contain_text("scripted")
    watched.screenshot("admin-connections-light-en-1280")
    page.get_by_role("switch", name="Next door is used").uncheck()
    expect(card).to_contain_text("Off")
    page.get_by_role("button", name="Delete Next door").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)


def test_a_connection_that_does_not_work_says_why(administration: OpenSection, house_url: str) -> None:
    watched = administration("connections")
    page = watched.page
    page.get_by_role("button", name="Add a connection").click()
    page.get_by_label("Address").fill(house_url.removesuffix(PAGE) + "nothing-here")
    page.get_by_label("Name", exact=True).fill("Dead end")
    page.get_by_role("button", name="Save and test").click()
    card = page.get_by_test_id("connection").filter(has_text="Dead end")
    expect(card).to_contain_text("It does not work.")
    page.get_by_role("button", name="Delete Dead end").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()


def test_the_audit_log_tells_what_was_done(administration: OpenSection, api: httpx.Client) -> None:
    add_user(api, "Audrey")
    watched = administration("audit")
    page = watched.page
    line = page.get_by_role("row").filter(has_text="audrey@example.org")
    expect(line).to_contain_text("user.create")
    expect(line).to_contain_text(ADMIN["name"])
    watched.screenshot("admin-audit-light-en-1280")
    page.get_by_label("Action").select_option("group")
    expect(line).to_have_count(0)


def test_a_model_is_named_described_and_asked_with_parameters(
    administration: OpenSection, api: httpx.Client
) -> None:
    watched = administration("models")
    page = watched.page
    card = page.get_by_test_id("model").first
    card.get_by_role("button", name=re.compile("^Edit")).click()
    page.get_by_label("Name", exact=True).fill("The house model")
    page.get_by_label("Temperature").fill("0.3")
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Thinking").select_option("off")
    watched.screenshot("admin-model-light-en-1280")
    page.get_by_role("button", name="Save").click()
    expect(card).to_contain_text("The house model")
    expect(card).to_contain_text("Temperature: 0.3")
    watched.screenshot("admin-models-light-en-1280")
    [shown] = api.get("api/models").json()["models"]
    assert shown["name"] == "The house model"
    card.get_by_role("button", name=re.compile("^Edit")).click()
    expect(page.get_by_label("Temperature")).to_have_value("0.3")
    page.get_by_role("button", name="Forget all of it").click()
    expect(card).not_to_contain_text("The house model")


def test_a_function_is_pasted_set_up_and_switched_on(administration: OpenSection, api: httpx.Client) -> None:
    watched = administration("functions", provoked=True)
    page = watched.page
    page.get_by_role("button", name="Add a function").click()
    page.get_by_label("Id", exact=True).fill("shout")
    page.get_by_label("Code").fill("class Filter:\n    def broken(:\n")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Line 2")
    expect(page.locator(".gutter .faulty")).to_have_text("2")
    page.get_by_label("Code").fill(FILTER)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Shout", level=1)).to_be_visible()

    page.get_by_label("How loud").fill("many")
    page.get_by_role("button", name="Save the settings").click()
    expect(page.get_by_text("This is no number.")).to_be_visible()
    page.get_by_label("How loud").fill("3")
    page.get_by_label("Token").fill("secret")
    page.get_by_label("Mark").select_option("?")
    page.get_by_label("ends", exact=True).check()
    page.get_by_role("button", name="Save the settings").click()
    expect(page.get_by_text("Saved.").last).to_be_visible()
    expect(page.get_by_label("Token")).to_have_value("")
    watched.screenshot("admin-function-light-en-1280")
    saved = api.get("api/admin/functions/shout/valves").json()
    assert saved["values"] == {"loudness": 3, "mark": "?", "places": ["ends"]}
    assert saved["secrets"] == ["token"]

    page.get_by_role("button", name="All functions").click()
    card = page.get_by_test_id("function").filter(has_text="Shout")
    page.get_by_role("switch", name="Shout is on").check()
    expect(card.get_by_text("On", exact=True)).to_be_visible()
    page.get_by_label("For all models: Shout").check()
    expect(page.get_by_label("For all models: Shout")).to_be_checked()
    watched.screenshot("admin-functions-light-en-1280")
    page.get_by_role("button", name="Delete Shout").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)


def test_usage_is_told_by_day_user_and_model(administration: OpenSection) -> None:
    watched = administration("usage")
    page = watched.page
    expect(page.get_by_test_id("usage-answers")).to_be_visible()
    expect(page.get_by_role("heading", name="By user")).to_be_visible()
    assert page.locator("svg g").count() == 30
    page.get_by_label("Time").select_option("7")
    expect(page.locator("svg g")).to_have_count(7)
    watched.screenshot("admin-usage-light-en-1280")


def test_a_backup_is_an_archive_to_keep(administration: OpenSection) -> None:
    page = administration("backup").page
    with page.expect_download() as download:
        page.get_by_role("button", name="Make a backup").click()
    assert zipfile.is_zipfile(download.value.path())
    assert download.value.suggested_filename.startswith("pagoda-")


def test_users_who_are_no_administrators_find_no_way_in(
    open_house: OpenPage, api: httpx.Client, house_url: str
) -> None:
    add_user(api, "Ulla")
    page = open_house().page
    page.locator("#email").fill("ulla@example.org")
    page.locator("#password").fill("a long password")
    page.locator("#password").press("Enter")
    page.locator("#composer").wait_for()
    page.get_by_role("button", name="Account and settings").click()
    expect(page.get_by_role("menuitem", name="Settings")).to_be_visible()
    expect(page.get_by_role("menuitem", name="Administration")).to_have_count(0)
    page.goto(f"{house_url}?admin=users")
    expect(page.locator("#composer")).to_be_visible()


@pytest.mark.parametrize(
    ("width", "locale", "theme"),
    [(375, "en-US", "light"), (375, "zh-CN", "dark"), (768, "en-US", "dark"), (1920, "zh-CN", "light")],
)
def test_every_section_fits_every_width_theme_and_language(
    administration: OpenSection, width: int, locale: str, theme: str
) -> None:
    watched = administration("users", width=width, height=900, locale=locale, theme=theme)
    page = watched.page
    links = page.locator("nav a")
    for place in range(links.count()):
        links.nth(place).click()
        expect(page.locator("main h1")).to_have_text(links.nth(place).inner_text())
        expect(page.locator("main [aria-busy=true]")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        main = "document.querySelector('main')"
        assert page.evaluate(f"{main}.scrollWidth - {main}.clientWidth") <= 0, links.nth(place).inner_text()
        section = links.nth(place).get_attribute("href").partition("admin=")[2]
        watched.screenshot(f"admin-{section}-{theme}-{locale}-{width}")
