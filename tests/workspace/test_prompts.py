"""The library of prompts: commands, variables, who sees them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.workspace.conftest import USER, House

from pagoda.workspace.chats.prompts import variables


async def add(client: httpx.AsyncClient, command: str, **more: Any) -> httpx.Response:
    body = {"command": command, "title": "T", "content": "Sum up {{ text }} in {{language | en}}.", **more}
    return await client.post("/api/prompts", json=body)


async def commands(client: httpx.AsyncClient) -> list[tuple[str, bool]]:
    return [(each["command"], each["own"]) for each in (await client.get("/api/prompts")).json()["prompts"]]


async def test_prompts_are_ones_own_by_command(house: House) -> None:
    async with house.signed_in() as ada:
        made = (await add(ada, "/Sum")).json()
        assert (made["command"], made["variables"]) == ("sum", ["text", "language"])
        assert (await add(ada, "sum")).status_code == 409
        assert (await add(ada, "总结")).status_code == 200
        for bad in ("", "two words", "a/b", "x" * 51):
            assert (await add(ada, bad)).status_code == 400, bad
        changed = await ada.patch(f"/api/prompts/{made['id']}", json={"command": "short"})
        assert (changed.json()["command"], changed.json()["content"]) == ("short", made["content"])
        taken = await ada.patch(f"/api/prompts/{made['id']}", json={"command": "/总结"})
        assert taken.json()["error"]["message"] == "You have a prompt /总结 already."
        assert (await ada.delete(f"/api/prompts/{made['id']}")).status_code == 200
        assert await commands(ada) == [("总结", True)]


async def test_others_see_what_is_for_everyone_and_change_nothing(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace, house.browser() as visitor:
        await grace.post("/api/auth/signup", json=USER)
        await add(ada, "mine")
        shared = (await add(ada, "ours", visibility="everyone")).json()["id"]
        assert await commands(grace) == [("ours", False)]
        await add(grace, "ours")
        assert await commands(grace) == [("ours", True), ("ours", False)]
        assert (await grace.patch(f"/api/prompts/{shared}", json={"title": "x"})).status_code == 404
        assert (await grace.delete(f"/api/prompts/{shared}")).status_code == 404
        assert (await add(grace, "all", visibility="everyone")).status_code == 403
        assert (await visitor.get("/api/prompts")).status_code == 401


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("none", []),
        ("{{a}} {{ b }} {{a}}", ["a", "b"]),
        ('{{CLIPBOARD}} {{ 主题 | text:placeholder="x" }}', ["CLIPBOARD", "主题"]),
        ("{{}} {{ {a} }} {{a", []),
    ],
)
def test_variables_are_names_in_braces(content: str, names: list[str]) -> None:
    assert variables(content) == names
