"""Links inside the house: a snapshot of the visible branch, for who is signed in, until it is withdrawn."""

from __future__ import annotations

from typing import Any

import httpx
from tests.workspace.conftest import USER, House


async def ask(client: httpx.AsyncClient, chat: str, text: str, parent: str | None = None) -> dict[str, Any]:
    body = {"parts": [{"type": "text", "text": text}], "models": ["fake"], "parent_id": parent}
    started = (await client.post(f"/api/chats/{chat}/generate", json=body)).json()
    await client.get(f"/api/generations/{started['generations'][0]['id']}/events")
    message: dict[str, Any] = started["generations"][0]["message"]
    return message


def texts(shared: dict[str, Any]) -> list[str]:
    return [message["parts"][0]["text"] for message in shared["messages"]]


async def test_a_link_shows_what_was_said_until_then_and_can_be_copied(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace, house.browser() as visitor:
        await grace.post("/api/auth/signup", json=USER)
        chat = (await ada.post("/api/chats", json={"params": {"system": "Secret."}})).json()["id"]
        assert (await ada.post(f"/api/chats/{chat}/share")).status_code == 400
        first = await ask(ada, chat, "One")
        link = (await ada.post(f"/api/chats/{chat}/share")).json()["share_id"]
        await ask(ada, chat, "Two", first["id"])
        path = f"/api/shared/{link}"
        shared = (await grace.get(path)).json()
        assert texts(shared) == ["One", "Hello, world."]
        assert (shared["owner"], shared["own"]) == ("Ada", False)
        assert chat not in str(shared)
        assert "Secret" not in str(shared)
        assert (await visitor.get(path)).status_code == 401
        assert (await ada.post(f"/api/chats/{chat}/share")).json()["share_id"] == link
        assert texts((await grace.get(path)).json())[2:] == ["Two", "Hello, world."]
        copied = (await grace.post(f"{path}/copy")).json()["chat_id"]
        mine = (await grace.get(f"/api/chats/{copied}")).json()
        assert (mine["title"], mine["params"]) == ("One", {})
        assert texts((await grace.get(f"/api/chats/{copied}/messages")).json()) == texts(
            (await grace.get(path)).json()
        )
        assert (await ada.delete(f"/api/chats/{chat}/share")).status_code == 200
        assert (await grace.get(path)).status_code == 404
        assert (await grace.post(f"{path}/copy")).status_code == 404
        assert (await grace.get(f"/api/chats/{copied}")).status_code == 200
        assert (await ada.post(f"/api/chats/{chat}/share")).json()["share_id"] != link


async def test_what_is_deleted_is_gone_from_the_link(house: House) -> None:
    async with house.signed_in() as ada:
        chat = (await ada.post("/api/chats", json={})).json()["id"]
        first = await ask(ada, chat, "One")
        second = await ask(ada, chat, "Two", first["id"])
        link = (await ada.post(f"/api/chats/{chat}/share")).json()["share_id"]
        await ada.delete(f"/api/messages/{second['parent_id']}")
        assert texts((await ada.get(f"/api/shared/{link}")).json()) == ["One", "Hello, world."]
        await ada.delete(f"/api/chats/{chat}")
        assert (await ada.get(f"/api/shared/{link}")).status_code == 404


async def test_nobody_shares_what_is_not_theirs(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        chat = (await ada.post("/api/chats", json={})).json()["id"]
        await ask(ada, chat, "One")
        assert (await grace.post(f"/api/chats/{chat}/share")).status_code == 404
        link = (await ada.post(f"/api/chats/{chat}/share")).json()["share_id"]
        assert (await grace.delete(f"/api/chats/{chat}/share")).status_code == 404
        assert (await grace.get(f"/api/shared/{link}")).status_code == 200
        assert (await grace.get(f"/api/shared/{chat}")).status_code == 404
