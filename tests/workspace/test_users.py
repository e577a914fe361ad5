"""What administrators do about users, groups and invitations, and the record of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.workspace.conftest import ADMIN, USER, House, open_house

from pagoda.workspace.settings import WorkspaceSettings


async def sign_up(client: httpx.AsyncClient, account: dict[str, str] = USER, **more: Any) -> dict[str, Any]:
    response = await client.post("/api/auth/signup", json={**account, **more})
    assert response.status_code == 200, response.text
    me: dict[str, Any] = response.json()
    return me


def numbered(count: int) -> list[dict[str, str]]:
    return [
        {"name": f"Nobody {n:02}", "email": f"n{n:02}@example.org", "password": "password"}
        for n in range(count)
    ]


async def test_users_are_found_and_paged(house: House) -> None:
    async with house.signed_in() as ada:
        for account in numbered(5):
            await ada.post("/api/admin/users", json=account)
        first = (await ada.get("/api/admin/users", params={"search": "NOBODY", "limit": 3})).json()
        assert [user["name"] for user in first["users"]] == ["Nobody 00", "Nobody 01", "Nobody 02"]
        assert first["total"] == 5
        rest = {"search": "nobody", "limit": 3, "cursor": first["next"]}
        second = (await ada.get("/api/admin/users", params=rest)).json()
        assert [user["name"] for user in second["users"]] == ["Nobody 03", "Nobody 04"]
        assert second["next"] is None
        assert (await ada.get("/api/admin/users", params={"search": "%"})).json()["total"] == 0
        assert (await ada.get("/api/admin/users", params={"role": "admin"})).json()["total"] == 1


async def test_approval_lets_somebody_in_and_taking_it_back_throws_them_out(tmp_path: Path) -> None:
    settings = WorkspaceSettings(default_role="pending")
    async with (
        open_house(tmp_path, settings=settings) as house,
        house.signed_in() as ada,
        house.browser() as grace,
    ):
        user = await sign_up(grace)
        path = f"/api/admin/users/{user['id']}"
        assert (await grace.get("/api/chats")).status_code == 403
        assert (await ada.patch(path, json={"role": "user"})).json()["role"] == "user"
        assert (await grace.get("/api/chats")).status_code == 200
        key = (await grace.post("/api/me/keys", json={})).json()["key"]
        await ada.patch(path, json={"active": False})
        assert (await grace.get("/api/chats")).status_code == 401
        assert (await house.workspace.accounts.by_key(key)) is None
        login = {"email": USER["email"], "password": USER["password"]}
        assert (await grace.post("/api/auth/login", json=login)).status_code == 401
        await ada.patch(path, json={"active": True})
        assert (await grace.post("/api/auth/login", json=login)).status_code == 200


@pytest.mark.parametrize("change", [{"role": "user"}, {"active": False}, None])
async def test_the_last_administrator_stays(house: House, change: dict[str, Any] | None) -> None:
    async with house.signed_in() as ada:
        path = f"/api/admin/users/{(await ada.get('/api/me')).json()['id']}"

        async def remove() -> int:
            if change is None:
                return (await ada.delete(path)).status_code
            return (await ada.patch(path, json=change)).status_code

        assert await remove() == 409
        assert (await ada.get("/api/me")).json()["role"] == "admin"
        await ada.post("/api/admin/users", json={**USER, "role": "admin"})
        assert await remove() == 200


async def test_two_administrators_cannot_remove_each_other(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        made = (await ada.post("/api/admin/users", json={**USER, "role": "admin"})).json()
        login = {"email": USER["email"], "password": USER["password"]}
        await grace.post("/api/auth/login", json=login)
        own = (await ada.get("/api/me")).json()["id"]
        answers = await asyncio.gather(
            ada.patch(f"/api/admin/users/{made['id']}", json={"role": "user"}),
            grace.patch(f"/api/admin/users/{own}", json={"role": "user"}),
        )
        assert sorted(response.status_code for response in answers) in ([200, 403], [200, 409], [200, 401])
        async with house.workspace.database.read():
            left = await house.workspace.users.page(role="admin")
    assert left["total"] == 1


async def test_a_given_password_is_for_one_sign_in(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace, house.browser() as elsewhere:
        user = await sign_up(grace)
        answer = await ada.post(f"/api/admin/users/{user['id']}/password", json={})
        password = answer.json()["password"]
        assert (await grace.get("/api/me")).status_code == 401
        login = {"email": USER["email"], "password": password}
        assert (await elsewhere.post("/api/auth/login", json=login)).json()["password_expired"] is True
        refused = await elsewhere.get("/api/chats")
        assert refused.status_code == 403
        assert refused.json()["error"]["type"] == "password_expired"
        own = {"current": password, "new": "my own password"}
        assert (await elsewhere.post("/api/me/password", json=own)).status_code == 200
        assert (await elsewhere.get("/api/chats")).status_code == 200


async def test_who_is_deleted_leaves_nothing(house: House, tmp_path: Path) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        user = await sign_up(grace)
        await grace.post("/api/chats", json={"title": "Mine"})
        assert (await ada.delete(f"/api/admin/users/{user['id']}")).status_code == 200
        assert (await grace.get("/api/me")).status_code == 401
        assert (await ada.get(f"/api/admin/users/{user['id']}")).status_code == 404
        again = await sign_up(grace)
        assert again["id"] != user["id"]
        assert (await grace.get("/api/chats")).json()["chats"] == []


async def test_an_address_belongs_to_one_account(house: House) -> None:
    async with house.signed_in() as ada:
        made = (await ada.post("/api/admin/users", json=USER)).json()
        taken = {**USER, "email": ADMIN["email"].upper()}
        assert (await ada.post("/api/admin/users", json=taken)).status_code == 409
        change = {"email": ADMIN["email"]}
        assert (await ada.patch(f"/api/admin/users/{made['id']}", json=change)).status_code == 409


async def test_signing_somebody_out_ends_all_their_sessions(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        user = await sign_up(grace)
        path = f"/api/admin/users/{user['id']}/sessions"
        assert len((await ada.get(path)).json()["sessions"]) == 1
        assert (await ada.delete(path)).json() == {"ended": 1}
        assert (await grace.get("/api/me")).status_code == 401
        assert (await ada.get("/api/me")).status_code == 200


async def test_groups_add_permissions(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        user = await sign_up(grace)
        assert user["permissions"]["connections.own"] is False
        values = {"name": "Lab", "permissions": {"connections.own": True, "chat.share": False}}
        group = (await ada.post("/api/admin/groups", json=values)).json()
        assert (await ada.post("/api/admin/groups", json=values)).status_code == 409
        member = f"/api/admin/groups/{group['id']}/members/{user['id']}"
        for _ in range(2):
            assert (await ada.put(member)).status_code == 200
        me = (await grace.get("/api/me")).json()
        assert me["permissions"]["connections.own"] is True
        assert me["permissions"]["chat.share"] is True  # nothing takes away
        assert me["groups"] == [group["id"]]
        [listed] = (await ada.get("/api/admin/groups")).json()["groups"]
        assert listed["members"] == 1
        found = await ada.get("/api/admin/users", params={"group": group["id"]})
        assert [each["id"] for each in found.json()["users"]] == [user["id"]]
        assert (await ada.delete(member)).status_code == 200
        assert (await ada.delete(member)).status_code == 404
        assert (await grace.get("/api/me")).json()["permissions"]["connections.own"] is False
        await ada.put(member)
        assert (await ada.delete(f"/api/admin/groups/{group['id']}")).status_code == 200
        assert (await grace.get("/api/me")).json()["groups"] == []


async def test_a_permission_that_does_not_exist_is_refused(house: House) -> None:
    async with house.signed_in() as ada:
        values = {"name": "Lab", "permissions": {"fly": True}}
        assert (await ada.post("/api/admin/groups", json=values)).status_code == 400


async def test_an_invitation_makes_one_account_where_the_door_is_closed(tmp_path: Path) -> None:
    settings = WorkspaceSettings(enable_signup=False)
    async with open_house(tmp_path, settings=settings) as house, house.signed_in() as ada:
        assert (await ada.get("/api/config")).json()["signup"] == "invitation"
        made = (await ada.post("/api/admin/invitations", json={})).json()
        async with house.browser() as one, house.browser() as two:
            assert (await one.get(f"/api/invitations/{made['token']}")).json()["email"] is None
            other = {**numbered(1)[0], "invitation": made["token"]}
            answers = await asyncio.gather(
                one.post("/api/auth/signup", json={**USER, "invitation": made["token"]}),
                two.post("/api/auth/signup", json=other),
            )
            assert sorted(response.status_code for response in answers) == [200, 404]
            assert (await one.get(f"/api/invitations/{made['token']}")).status_code == 404
        [listed] = (await ada.get("/api/admin/invitations")).json()["invitations"]
        assert listed["used_at"] is not None
        assert "token" not in listed


async def test_an_invitation_is_for_its_address_and_can_be_taken_back(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as visitor:
        body = {"email": "Grace@Example.org", "role": "admin"}
        made = (await ada.post("/api/admin/invitations", json=body)).json()
        wrong = {**numbered(1)[0], "invitation": made["token"]}
        assert (await visitor.post("/api/auth/signup", json=wrong)).status_code == 403
        assert (await sign_up(visitor, invitation=made["token"]))["role"] == "admin"
        another = (await ada.post("/api/admin/invitations", json={})).json()
        assert (await ada.delete(f"/api/admin/invitations/{another['id']}")).status_code == 200
        late = {**numbered(1)[0], "invitation": another["token"]}
        assert (await visitor.post("/api/auth/signup", json=late)).status_code == 404


async def test_an_invitation_runs_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.signed_in() as ada:
        made = (await ada.post("/api/admin/invitations", json={"hours": 1})).json()
        later = made["expires_at"] + 1
        monkeypatch.setattr("pagoda.workspace.accounts.invitations.now_ms", lambda: later)
        assert (await ada.get(f"/api/invitations/{made['token']}")).status_code == 404


async def test_what_administrators_do_is_recorded(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        user = await sign_up(grace)
        wrong = {"email": USER["email"], "password": "not it at all"}
        await grace.post("/api/auth/login", json=wrong)
        await grace.post("/api/auth/login", json={**wrong, "email": "typed a password here"})
        await ada.patch(f"/api/admin/users/{user['id']}", json={"role": "admin"})
        seen = []
        cursor: str | None = None
        while True:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await ada.get("/api/admin/audit", params=params)).json()
            seen += page["events"]
            cursor = page["next"]
            if cursor is None:
                break
        actions = [event["action"] for event in reversed(seen)]
        assert sorted(actions) == sorted(
            ["setup", "sign_up", "sign_in_failed", "sign_in_failed", "user.change"]
        )
        assert len({event["id"] for event in seen}) == len(seen)
        [change] = (await ada.get("/api/admin/audit", params={"action": "user"})).json()["events"]
        assert change["user_email"] == ADMIN["email"]
        assert change["target_id"] == user["id"]
        assert change["detail"] == {"role": {"from": "user", "to": "admin"}}
        assert "typed" not in str(seen)
