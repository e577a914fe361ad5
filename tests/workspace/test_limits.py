"""What an answer may take: tokens, time, and how many of one user are written at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.workspace.conftest import USER, House, open_house
from tests.workspace.test_chats import ask, events, new_chat

from pagoda.workspace.settings import WorkspaceSettings

TEXT = [{"type": "text", "text": "Hi"}]


async def test_the_most_tokens_go_to_the_provider(house: House) -> None:
    async with house.signed_in() as ada:
        chat = await new_chat(ada)
        limit = {"PAGODA_MAX_ANSWER_TOKENS": 100}
        assert (await ada.patch("/api/admin/settings", json=limit)).status_code == 200
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        await events(ada, started["id"])
        assert house.provider.requests[-1][1].most_tokens == 100
        await ada.patch("/api/admin/settings", json={"PAGODA_MAX_ANSWER_TOKENS": None})
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        await events(ada, started["id"])
        assert house.provider.requests[-1][1].most_tokens is None


async def test_an_answer_that_takes_too_long_ends_with_what_it_has(tmp_path: Path) -> None:
    gate = asyncio.Semaphore(2)
    settings = WorkspaceSettings(answer_minutes=2 / 60)
    async with (
        open_house(tmp_path, gate=gate, settings=settings) as house,
        house.signed_in() as ada,
    ):
        chat = await new_chat(ada)
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        last = (await events(ada, started["id"]))[-1]
        assert last["type"] == "done"
        [_, kept] = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
        for message in (last["message"], kept):
            assert message["status"] == "stopped"
            assert message["error"]["kind"] == "time_limit"
            assert message["parts"] == [{"type": "text", "text": "Hello, "}]
        assert house.provider.closed == 1
        for _ in range(4):
            gate.release()
        again = await ada.post(f"/api/chats/{chat}/generate", json={"continue_id": started["message_id"]})
        message = (await events(ada, again.json()["generations"][0]["id"]))[-1]["message"]
        assert (message["status"], message["error"]) == ("done", None)


async def test_one_user_has_so_many_answers_at_once(tmp_path: Path) -> None:
    gate = asyncio.Semaphore(0)
    settings = WorkspaceSettings(answers_at_once=2, default_role="user")
    async with (
        open_house(tmp_path, gate=gate, settings=settings) as house,
        house.signed_in() as ada,
        house.browser() as grace,
    ):
        await grace.post("/api/auth/signup", json=USER)
        chat, other = await new_chat(ada), await new_chat(ada)
        body = {"parts": TEXT, "models": ["fake"]}
        # at the same moment, so that none of them sees the others' answers running
        asked = [ada.post(f"/api/chats/{each}/generate", json=body) for each in (chat, chat, chat, other)]
        statuses = sorted([response.status_code for response in await asyncio.gather(*asked)])
        assert statuses == [200, 200, 429, 429]
        refused = await ada.post(f"/api/chats/{other}/generate", json=body)
        assert refused.json()["error"]["param"] == "models"
        assert "At most 2 answers" in refused.json()["error"]["message"]
        assert (await grace.post(f"/api/chats/{await new_chat(grace)}/generate", json=body)).is_success
        running = (await ada.get("/api/generations")).json()["generations"]
        await ada.post(f"/api/generations/{running[0]['id']}/stop")
        await events(ada, running[0]["id"])
        assert (await ada.post(f"/api/chats/{other}/generate", json=body)).status_code == 200


@pytest.mark.sqlite_only
async def test_a_refused_question_leaves_nothing(tmp_path: Path) -> None:
    settings = WorkspaceSettings(answers_at_once=1)
    gate = asyncio.Semaphore(0)
    async with open_house(tmp_path, gate=gate, settings=settings) as house, house.signed_in() as ada:
        first, second = await new_chat(ada), await new_chat(ada)
        await ask(ada, first, "Hi")
        body = {"parts": TEXT, "models": ["fake"]}
        assert (await ada.post(f"/api/chats/{second}/generate", json=body)).status_code == 429
        assert (await ada.get(f"/api/chats/{second}/messages")).json()["messages"] == []
