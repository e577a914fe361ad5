"""What a model makes unasked: nothing by default, and politely where it is switched on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.workspace.conftest import House, open_house
from tests.workspace.test_chats import SAID, ask, events, new_chat, own_id, words

from pagoda.workspace.generation.tasks import FOLLOW_UPS, TAGS, TITLE, lines_of, tags_of, title_of
from pagoda.workspace.providers.base import LOWEST_PRIORITY, ProviderError
from pagoda.workspace.storage.tables import UsageEvent

ON = {
    "ENABLE_TITLE_GENERATION": True,
    "ENABLE_TAGS_GENERATION": True,
    "ENABLE_FOLLOW_UP_GENERATION": True,
    "ENABLE_AUTOCOMPLETE_GENERATION": True,
}


def tells(body: dict[str, Any]) -> list[str | ProviderError]:
    last = body["messages"][-1]["content"]
    if last == TITLE:
        return ['"A warm ', 'greeting"\nand more']
    if last == TAGS:
        return ["Greetings, ", "World"]
    if last == FOLLOW_UPS:
        return ["1. Why?\n", "- How?"]
    if "so far: " in last:
        return [" and good morning\nnothing else"]
    return [*words(body)]


async def told(house: House, user_id: str, kinds: list[str]) -> list[dict[str, Any]]:
    """Events of a tab until all of these kinds have come, in this order."""
    tab, found = house.workspace.tabs.open(user_id), []
    async for event in tab.events():
        if event["type"] == kinds[len(found)]:
            found.append(event)
        if len(found) == len(kinds):
            return found
    return found


async def test_nothing_is_made_unasked(house: House) -> None:
    async with house.signed_in() as ada:
        chat = await new_chat(ada)
        [run] = (await ask(ada, chat, "Hi"))["generations"]
        await events(ada, run["id"])
        assert (await ada.post("/api/complete", json={"text": "H", "model": "fake"})).status_code == 403
        assert len(house.provider.requests) == 1


async def test_tasks_go_on_in_the_chats_own_words(tmp_path: Path) -> None:
    async with open_house(tmp_path, tells) as house, house.signed_in() as ada:
        assert (await ada.patch("/api/admin/settings", json=ON)).status_code == 200
        waiting = asyncio.create_task(
            told(house, await own_id(ada), ["chats_changed", "chats_changed", "follow_ups"])
        )
        await asyncio.sleep(0)
        chat = await new_chat(ada)
        [run] = (await ask(ada, chat, "Hi", params={"system": "Be brief."}))["generations"]
        await events(ada, run["id"])
        last = (await asyncio.wait_for(waiting, 20))[-1]
        assert last["follow_ups"] == ["Why?", "How?"]
        shown = (await ada.get(f"/api/chats/{chat}")).json()
        assert shown["title"] == "A warm greeting"
        line = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
        assert line[1]["follow_ups"] == ["Why?", "How?"]
        answer, *tasks = house.provider.requests
        for body, caller in tasks:
            own = [*answer[0]["messages"], {"role": "assistant", "content": SAID}]
            assert body["messages"][:-1] == own
            assert caller.priority == LOWEST_PRIORITY > answer[1].priority
            assert body["chat_template_kwargs"] == {"enable_thinking": False}
        async with house.workspace.database.read() as session:
            sources = list(await session.scalars(select(UsageEvent.source)))
        assert sorted(sources) == ["page", "task", "task", "task"]


async def test_a_title_of_the_users_own_stays(tmp_path: Path) -> None:
    async with open_house(tmp_path, tells) as house, house.signed_in() as ada:
        await ada.patch("/api/admin/settings", json={**ON, "ENABLE_TAGS_GENERATION": False})
        waiting = asyncio.create_task(told(house, await own_id(ada), ["follow_ups"]))
        await asyncio.sleep(0)
        chat = (await ada.post("/api/chats", json={"title": "Mine"})).json()["id"]
        [run] = (await ask(ada, chat, "Hi"))["generations"]
        await events(ada, run["id"])
        await asyncio.wait_for(waiting, 20)
        assert (await ada.get(f"/api/chats/{chat}")).json()["title"] == "Mine"


async def test_a_draft_is_completed(tmp_path: Path) -> None:
    async with open_house(tmp_path, tells) as house, house.signed_in() as ada:
        await ada.patch("/api/admin/settings", json={"ENABLE_AUTOCOMPLETE_GENERATION": True})
        chat = await new_chat(ada)
        [run] = (await ask(ada, chat, "Hi"))["generations"]
        await events(ada, run["id"])
        body = {"text": "Hello there", "model": "fake", "chat_id": chat}
        assert (await ada.post("/api/complete", json=body)).json() == {"text": "and good morning"}
        assert house.provider.requests[-1][0]["messages"][-1]["content"].endswith("Hello there")


@pytest.mark.parametrize(
    ("text", "title"),
    [('"Quoted."', "Quoted"), ("\n\n# Title: Heading\nmore", "Heading"), ("标题：你好", "你好"), ("", "")],
)
def test_titles_are_the_words_alone(text: str, title: str) -> None:
    assert title_of(text) == title


def test_tags_and_questions_are_found() -> None:
    assert tags_of("1. Physics, #Maths，Physics、" + "x" * 99) == ["physics", "maths"]
    assert lines_of("1. Why?\n\n* **How?**\n" + "x" * 999) == ["Why?", "How?"]
