"""Coming in: the first administrator, signing up and in, sessions, keys, and what keeps others out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.workspace.conftest import ADMIN, USER, House, open_house

from pagoda.workspace.accounts.attempts import FREE_TRIES, Attempts
from pagoda.workspace.settings import WorkspaceSettings


async def test_the_first_visitor_becomes_the_administrator_once(house: House) -> None:
    async with house.browser() as first, house.browser() as second:
        assert (await first.get("/api/config")).json()["setup_required"] is True
        made = await asyncio.gather(
            first.post("/api/setup", json=ADMIN), second.post("/api/setup", json=USER)
        )
        assert sorted(response.status_code for response in made) == [200, 409]
        winner = first if made[0].status_code == 200 else second
        assert (await winner.get("/api/me")).json()["role"] == "admin"
        assert (await first.get("/api/config")).json()["setup_required"] is False


async def test_an_account_by_approval_waits(tmp_path: Path) -> None:
    settings = WorkspaceSettings(default_role="pending")
    async with open_house(tmp_path, settings=settings) as house, house.signed_in(), house.browser() as new:
        made = await new.post("/api/auth/signup", json=USER)
        assert made.json()["role"] == "pending"
        assert (await new.get("/api/me")).status_code == 200
        refused = await new.get("/api/chats")
        assert refused.status_code == 403
        assert "approve" in refused.json()["error"]["message"]


async def test_a_closed_house_takes_nobody(tmp_path: Path) -> None:
    settings = WorkspaceSettings(enable_signup=False)
    async with open_house(tmp_path, settings=settings) as house, house.signed_in(), house.browser() as new:
        assert (await new.post("/api/auth/signup", json=USER)).status_code == 403


@pytest.mark.parametrize(
    ("field", "value"),
    [("email", "nobody"), ("password", "short"), ("name", "  "), ("email", "a@b " * 200)],
)
async def test_what_cannot_be_an_account_is_told(house: House, field: str, value: str) -> None:
    async with house.browser() as visitor:
        response = await visitor.post("/api/setup", json={**ADMIN, field: value})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == field


async def test_signing_out_ends_the_session(house: House) -> None:
    async with house.signed_in() as ada:
        [(name, token)] = ada.cookies.items()
        assert (await ada.post("/api/auth/logout")).status_code == 200
        ada.cookies.set(name, token)  # somebody had copied it
        assert (await ada.get("/api/me")).status_code == 401


async def test_sessions_are_listed_and_revoked_by_their_owner_alone(house: House) -> None:
    async with house.signed_in() as ada, house.signed_in() as elsewhere, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        listed = (await ada.get("/api/me/sessions")).json()["sessions"]
        [other] = [each for each in listed if not each["current"]]
        assert (await grace.delete(f"/api/me/sessions/{other['id']}")).status_code == 404
        assert (await ada.delete(f"/api/me/sessions/{other['id']}")).status_code == 200
        assert (await elsewhere.get("/api/me")).status_code == 401


async def test_a_new_password_ends_other_sessions(house: House) -> None:
    async with house.signed_in() as ada, house.signed_in() as elsewhere:
        wrong = {"current": "not it, no", "new": "another one"}
        assert (await ada.post("/api/me/password", json=wrong)).status_code == 400
        right = {"current": ADMIN["password"], "new": "another one"}
        assert (await ada.post("/api/me/password", json=right)).status_code == 200
        assert (await ada.get("/api/me")).status_code == 200
        assert (await elsewhere.get("/api/me")).status_code == 401


async def test_guessing_is_slowed_down(house: House) -> None:
    async with house.signed_in(), house.browser() as guesser:
        guess = {"email": ADMIN["email"], "password": "a wrong guess"}
        tries = [await guesser.post("/api/auth/login", json=guess) for _ in range(FREE_TRIES + 1)]
    assert [response.status_code for response in tries] == [401] * FREE_TRIES + [429]
    assert int(tries[-1].headers["retry-after"]) >= 1


def test_waits_grow_and_are_forgotten() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(FREE_TRIES):
        attempts.failed("a")
    first = attempts.wait("a", "b")
    attempts.failed("a")
    assert 0 < first < attempts.wait("a")
    assert attempts.wait("b") == 0
    now[0] = 10_000.0
    assert attempts.wait("a") == 0


async def test_another_sites_page_changes_nothing(house: House) -> None:
    async with house.signed_in() as ada:
        forged = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
        response = await ada.post("/api/chats", json={}, headers=forged)
        assert response.status_code == 403
        assert (await ada.post("/api/auth/logout", headers=forged)).status_code == 403
        assert (await ada.get("/api/chats")).json()["chats"] == []


async def test_keys_are_shown_once_and_work_until_they_are_deleted(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as program:
        made = (await ada.post("/api/me/keys", json={"name": "script"})).json()
        headers = {"Authorization": f"Bearer {made['key']}"}
        assert (await program.get("/api/me", headers=headers)).json()["email"] == ADMIN["email"]
        [listed] = (await ada.get("/api/me/keys")).json()["keys"]
        assert "key" not in listed
        assert made["key"].startswith(listed["prefix"])
        assert (await ada.delete(f"/api/me/keys/{made['id']}")).status_code == 200
        assert (await program.get("/api/me", headers=headers)).status_code == 401


@pytest.mark.sqlite_only
async def test_secrets_are_not_in_the_database(house: House, tmp_path: Path) -> None:
    async with house.signed_in() as ada:
        key = (await ada.post("/api/me/keys", json={"name": "script"})).json()["key"]
        cookie = next(iter(ada.cookies.values()))
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("workspace.db*"))
    assert ADMIN["email"].encode() in stored
    for secret in (key, cookie, ADMIN["password"]):
        assert secret.encode() not in stored
