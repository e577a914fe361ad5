"""Settings: the environment wins over what is saved, that over the default, and the page follows."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.workspace.conftest import ADMIN, USER, House, open_house

from pagoda.workspace.setting_kinds import locale_of, seconds_of
from pagoda.workspace.settings import SETTINGS, WorkspaceSettings
from pagoda.workspace.storage.database import DatabaseError


async def test_a_saved_setting_is_followed_at_once_and_after_a_restart(tmp_path: Path) -> None:
    changes = {
        "WEBUI_NAME": "The Lab",
        "DEFAULT_LOCALE": "cn",
        "DEFAULT_MODELS": ["one", "two"],
        "ENABLE_SIGNUP": False,
        "ENABLE_TITLE_GENERATION": True,
        "USER_PERMISSIONS": {"keys.create": False},
    }
    for first in (True, False):
        async with open_house(tmp_path) as house, house.signed_in() as ada:
            if first:
                assert (await ada.patch("/api/admin/settings", json=changes)).status_code == 200
            config = (await ada.get("/api/config")).json()
            assert config["name"] == "The Lab"
            assert config["locale"] == "zh"
            assert config["default_models"] == ["one", "two"]
            assert config["signup"] == "invitation"
            assert config["features"]["title_generation"] is True
            assert config["limits"] == {"file_bytes": 50_000_000, "files": 20}
            shown = (await ada.get("/api/admin/settings")).json()["WEBUI_NAME"]
            assert shown == {
                "value": "The Lab",
                "default": "Pagoda",
                "locked_by": None,
                "kind": "text",
                "choices": [],
            }


async def test_null_goes_back_to_the_default(house: House) -> None:
    async with house.signed_in() as ada:
        await ada.patch("/api/admin/settings", json={"WEBUI_NAME": "The Lab"})
        shown = (await ada.patch("/api/admin/settings", json={"WEBUI_NAME": None})).json()
        assert shown["WEBUI_NAME"]["value"] == "Pagoda"


async def test_the_environment_wins_and_locks(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        await ada.patch("/api/admin/settings", json={"WEBUI_NAME": "Saved"})
    settings = WorkspaceSettings.from_environment({"WEBUI_NAME": "Given", "ENABLE_SIGNUP": "true"})
    async with open_house(tmp_path, settings=settings) as house, house.signed_in() as ada:
        assert (await ada.get("/api/config")).json()["name"] == "Given"
        shown = (await ada.get("/api/admin/settings")).json()
        assert shown["WEBUI_NAME"]["locked_by"] == "WEBUI_NAME"
        refused = await ada.patch("/api/admin/settings", json={"WEBUI_NAME": "Mine"})
        assert refused.status_code == 409
        assert "WEBUI_NAME" in refused.json()["error"]["message"]
    async with open_house(tmp_path) as house, house.browser() as visitor:  # the variable has gone
        assert (await visitor.get("/api/config")).json()["name"] == "Saved"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("WEBUI_NAME", 5),
        ("ENABLE_SIGNUP", "true"),
        ("DEFAULT_USER_ROLE", "admin"),
        ("DEFAULT_MODELS", "one"),
        ("DEFAULT_LOCALE", "fr"),
        ("DEFAULT_LOCALE", 5),
        ("JWT_EXPIRES_IN", 5),
        ("PAGODA_MAX_ANSWER_TOKENS", 0),
        ("PAGODA_MAX_ANSWER_TOKENS", 1.5),
        ("PAGODA_MAX_ANSWER_TOKENS", True),
        ("PAGODA_MAX_ANSWER_MINUTES", "5"),
        ("PAGODA_MAX_ANSWERS_AT_ONCE", 1001),
        ("JWT_EXPIRES_IN", True),
        ("USER_PERMISSIONS", {"fly": True}),
        ("USER_PERMISSIONS", {"chat.share": "yes"}),
        ("WEBUI_SECRET_KEY", "mine"),
        ("WEBUI_AUTH", False),
        ("NOTHING", 1),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_of_it_is_kept(
    house: House, key: str, value: Any
) -> None:
    async with house.signed_in() as ada:
        response = await ada.patch("/api/admin/settings", json={"TASK_MODEL": "x", key: value})
        assert response.status_code == 400
        assert key in response.json()["error"]["message"]
        assert (await ada.get("/api/admin/settings")).json()["TASK_MODEL"]["value"] == ""


def test_secrets_are_never_shown() -> None:
    assert not any(SETTINGS[name].page for name in ("secret_key", "database_url", "auth"))


async def test_everybodys_permissions_are_set(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        permissions = {"keys.create": False, "connections.own": True}
        await ada.patch("/api/admin/settings", json={"USER_PERMISSIONS": permissions})
        me = (await grace.get("/api/me")).json()
        assert {name: me["permissions"][name] for name in permissions} == permissions
        assert (await grace.post("/api/me/keys", json={})).status_code == 403
        assert (await ada.post("/api/me/keys", json={})).status_code == 200


async def test_a_sign_in_lasts_as_long_as_is_set(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.signed_in() as ada:
        await ada.patch("/api/admin/settings", json={"JWT_EXPIRES_IN": 3600})
        async with house.signed_in() as again:
            [session] = [
                each for each in (await again.get("/api/me/sessions")).json()["sessions"] if each["current"]
            ]
            later = session["created_at"] + 3600 * 1000 + 1000
            monkeypatch.setattr("pagoda.workspace.accounts.service.now_ms", lambda: later)
            assert (await again.get("/api/me")).status_code == 401
            assert (await ada.get("/api/me")).status_code == 200


def test_odd_values_of_the_environment_cost_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    odd = {"DEFAULT_LOCALE": "klingon", "ENABLE_SIGNUP": "perhaps", "JWT_EXPIRES_IN": "soon"}
    with caplog.at_level(logging.WARNING):
        settings = WorkspaceSettings.from_environment(odd)
    assert settings == WorkspaceSettings()
    assert all(name in caplog.text for name in odd)


@pytest.mark.parametrize("name", ["cn", "zh", "zh-CN", "zh_CN", "ZH-Hans"])
def test_chinese_has_many_names(name: str) -> None:
    assert locale_of(name) == "zh"


@pytest.mark.parametrize(
    ("text", "seconds"), [("12h", 43_200), ("30d", 2_592_000), ("1h 30m", 5400), ("4w", 2_419_200)]
)
def test_times_are_read(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@given(st.text(max_size=12))
def test_a_time_is_read_or_refused(text: str) -> None:
    read: int | None = None
    with suppress(ValueError):
        read = seconds_of(text)
    assert read is None or 60 <= read <= 10 * 365 * 86_400


@pytest.mark.parametrize(
    ("environment", "signup"),
    [
        ({}, "approval"),
        ({"DEFAULT_USER_ROLE": "user"}, "open"),
        ({"ENABLE_SIGNUP": "False"}, "invitation"),
        ({"ENABLE_SIGNUP": "0", "ENABLE_INVITATIONS": "no"}, "closed"),
    ],
)
def test_who_may_make_an_account(environment: dict[str, str], signup: str) -> None:
    assert WorkspaceSettings.from_environment(environment).signup == signup


async def test_without_sign_in_everybody_is_the_one_user(tmp_path: Path) -> None:
    alone = WorkspaceSettings(auth=False)
    async with open_house(tmp_path, settings=alone) as house, house.browser() as visitor:
        config = (await visitor.get("/api/config")).json()
        assert config["auth"] is False
        assert config["setup_required"] is False
        assert config["user"]["role"] == "admin"
        await visitor.post("/api/chats", json={"title": "Mine"})
        forged = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
        assert (await visitor.post("/api/chats", json={}, headers=forged)).status_code == 403
        assert (await visitor.post("/api/setup", json=USER)).status_code == 409
    async with open_house(tmp_path) as house, house.signed_in() as ada:  # who sets it up goes on as that user
        assert [chat["title"] for chat in (await ada.get("/api/chats")).json()["chats"]] == ["Mine"]
    with pytest.raises(DatabaseError, match="there are accounts"):
        async with open_house(tmp_path, settings=alone):
            pass


async def test_the_environment_may_name_the_first_administrator(tmp_path: Path) -> None:
    environment = {"WEBUI_ADMIN_EMAIL": "Ada@example.org", "WEBUI_ADMIN_PASSWORD": ADMIN["password"]}
    settings = WorkspaceSettings.from_environment(environment)
    for _ in range(2):  # the second time, there is one
        async with open_house(tmp_path, settings=settings) as house, house.signed_in() as ada:
            assert (await ada.get("/api/me")).json()["role"] == "admin"
            assert (await ada.get("/api/admin/users")).json()["total"] == 1


async def test_an_administrator_that_cannot_be_is_told(tmp_path: Path) -> None:
    settings = WorkspaceSettings(admin_email="ada@example.org", admin_password="short")
    with pytest.raises(DatabaseError, match="8 to 512 characters"):
        async with open_house(tmp_path, settings=settings):
            pass
