"""Asking and answering: the tree of messages, streams that can be come back to, stopping, failing."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.workspace.conftest import USER, House, open_house, words

from pagoda.workspace.chats.words import first_words
from pagoda.workspace.generation.builder import AnswerBuilder
from pagoda.workspace.providers.base import ProviderError

SAID = "Hello, world."


async def new_chat(client: httpx.AsyncClient) -> str:
    chat_id: str = (await client.post("/api/chats", json={})).json()["id"]
    return chat_id


async def ask(client: httpx.AsyncClient, chat: str, text: str | None, **more: Any) -> dict[str, Any]:
    parts = None if text is None else [{"type": "text", "text": text}]
    body = {"parts": parts, "models": ["fake"], **more}
    response = await client.post(f"/api/chats/{chat}/generate", json=body)
    assert response.status_code == 200, response.text
    started: dict[str, Any] = response.json()
    return started


async def events(client: httpx.AsyncClient, run: str, after: int = 0) -> list[dict[str, Any]]:
    response = await client.get(f"/api/generations/{run}/events", params={"after": after})
    assert response.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]


def rebuilt(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts that a page makes of the events."""
    parts: list[dict[str, Any]] = []
    for event in found:
        if event["type"] == "delta":
            while len(parts) <= event["part"]:
                parts.append({"type": event["kind"], "text": ""})
            parts[event["part"]]["text"] += event["text"]
        elif event["type"] == "part":
            parts[event["part"] :] = [event["value"]]
    return parts


async def test_a_question_is_answered_and_kept(house: House) -> None:
    async with house.signed_in() as ada:
        chat = await new_chat(ada)
        started = await ask(ada, chat, "Say hello to the whole wide world, please, and then some more")
        [run] = started["generations"]
        found = await events(ada, run["id"])
        assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
        assert found[0]["type"] == "start"
        assert found[-1]["type"] == "done"
        assert rebuilt(found) == [{"type": "text", "text": SAID}] == found[-1]["message"]["parts"]
        line = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
        assert [message["role"] for message in line] == ["user", "assistant"]
        assert line[1]["status"] == "done"
        assert line[1]["usage"]["completion_tokens"] == 4
        title = (await ada.get(f"/api/chats/{chat}")).json()["title"]
        assert title == "Say hello to the whole wide world, please, and…"


async def test_who_comes_back_misses_nothing(tmp_path: Path) -> None:
    gate = asyncio.Semaphore(0)
    async with open_house(tmp_path, gate=gate) as house, house.signed_in() as ada:
        chat = await new_chat(ada)
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        run = house.workspace.generations.find(await own_id(ada), started["id"])
        gate.release()
        first = []
        async for batch in run.events():
            first += batch
            if any(event["type"] == "delta" for event in batch):
                break  # the tab is closed in the middle
        shown = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"][1]
        assert shown["status"] == "streaming"
        assert shown["generation"] == started["id"]
        for _ in range(3):
            gate.release()
        rest = await events(ada, started["id"], after=first[-1]["seq"])
        assert rebuilt(first + rest) == [{"type": "text", "text": SAID}]
        assert [event["seq"] for event in first + rest] == list(range(1, len(first + rest) + 1))


async def own_id(client: httpx.AsyncClient) -> str:
    user_id: str = (await client.get("/api/me")).json()["id"]
    return user_id


async def test_an_answer_is_stopped_and_keeps_its_text(tmp_path: Path) -> None:
    gate = asyncio.Semaphore(2)
    async with open_house(tmp_path, gate=gate) as house, house.signed_in() as ada:
        chat = await new_chat(ada)
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        run = house.workspace.generations.find(await own_id(ada), started["id"])
        async for batch in run.events():
            if any(event.get("text") == ", " for event in batch):
                break
        assert (await ada.post(f"/api/generations/{started['id']}/stop")).status_code == 200
        last = (await events(ada, started["id"]))[-1]["message"]
        assert last["status"] == "stopped"
        assert last["parts"] == [{"type": "text", "text": "Hello, "}]
        assert house.provider.closed == 1


async def test_a_failure_is_told_and_keeps_what_came(tmp_path: Path) -> None:
    def breaks(_body: object) -> list[str | ProviderError]:
        return ["Hel", ProviderError("The model has gone.", 502, "unreachable")]

    async with open_house(tmp_path, breaks) as house, house.signed_in() as ada:
        chat = await new_chat(ada)
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        last = (await events(ada, started["id"]))[-1]
        assert last["type"] == "failed"
        assert last["error"] == {"message": "The model has gone.", "kind": "unreachable"}
        assert last["message"]["parts"] == [{"type": "text", "text": "Hel"}]


async def test_answers_again_and_edited_questions_are_branches(house: House) -> None:
    async with house.signed_in() as ada:
        chat = await new_chat(ada)
        first = await ask(ada, chat, "One")
        await events(ada, first["generations"][0]["id"])
        question = first["question"]["id"]
        again = await ask(ada, chat, None, parent_id=question)
        await events(ada, again["generations"][0]["id"])
        line = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
        assert line[1]["siblings"] == [
            first["generations"][0]["message"]["id"],
            again["generations"][0]["message"]["id"],
        ]
        edited = await ask(ada, chat, "Two", parent_id=None)
        await events(ada, edited["generations"][0]["id"])
        line = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
        assert [message["parts"][0]["text"] for message in line] == ["Two", SAID]
        assert len(line[0]["siblings"]) == 2
        older = await ada.get(f"/api/chats/{chat}/messages", params={"leaf": question})
        assert older.json()["messages"][1]["id"] == again["generations"][0]["message"]["id"]


async def test_the_model_gets_the_branch_and_the_systems_words(house: House) -> None:
    async with house.signed_in() as ada:
        chat = await new_chat(ada)
        first = await ask(ada, chat, "One")
        await events(ada, first["generations"][0]["id"])
        answer = first["generations"][0]["message"]["id"]
        params = {"system": "Be brief.", "temperature": 0.5, "unknown": 1}
        second = await ask(ada, chat, "Two", parent_id=answer, params=params)
        await events(ada, second["generations"][0]["id"])
    body, caller = house.provider.requests[-1]
    assert [(each["role"], each["content"]) for each in body["messages"]] == [
        ("system", "Be brief."),
        ("user", "One"),
        ("assistant", SAID),
        ("user", "Two"),
    ]
    assert body["temperature"] == 0.5
    assert "unknown" not in body
    assert caller.user_id


async def test_several_models_answer_side_by_side(tmp_path: Path) -> None:
    async with open_house(tmp_path, models=("one", "two")) as house, house.signed_in() as ada:
        chat = await new_chat(ada)
        started = await ask(ada, chat, "Hi", models=["one", "two"])
        for run in started["generations"]:
            await events(ada, run["id"])
        line = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
        assert len(line[1]["siblings"]) == 2
        assert {run["model"] for run in started["generations"]} == {"one", "two"}


async def test_nobody_reaches_what_is_not_theirs(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace, house.browser() as visitor:
        await grace.post("/api/auth/signup", json=USER)
        chat = await new_chat(ada)
        started = await ask(ada, chat, "Secret")
        run = started["generations"][0]["id"]
        message = started["question"]["id"]
        await events(ada, run)
        mine = await new_chat(grace)
        attempts = [
            ("GET", f"/api/chats/{chat}", None),
            ("PATCH", f"/api/chats/{chat}", {"title": "mine"}),
            ("DELETE", f"/api/chats/{chat}", None),
            ("GET", f"/api/chats/{chat}/messages", None),
            ("POST", f"/api/chats/{chat}/generate", {"models": ["fake"], "parent_id": message}),
            ("POST", f"/api/chats/{mine}/generate", {"models": ["fake"], "parent_id": message}),
            ("PATCH", f"/api/chats/{mine}", {"leaf_id": message}),
            ("GET", f"/api/generations/{run}/events", None),
            ("POST", f"/api/generations/{run}/stop", None),
            ("PATCH", f"/api/messages/{message}", {"rating": 1}),
            ("DELETE", f"/api/messages/{message}", None),
        ]
        for method, path, body in attempts:
            assert (await grace.request(method, path, json=body)).status_code == 404, path
            assert (await visitor.request(method, path, json=body)).status_code == 401, path


@pytest.mark.sqlite_only
async def test_a_killed_server_loses_no_saved_text(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        chat = await new_chat(ada)
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        await events(ada, started["id"])
    database = sqlite3.connect(tmp_path / "workspace.db")
    with database:  # what a kill in the middle leaves
        database.execute("UPDATE message SET status = 'streaming' WHERE role = 'assistant'")
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        line = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
    assert line[1]["status"] == "stopped"
    assert line[1]["parts"] == [{"type": "text", "text": SAID}]


def test_reasoning_is_a_part_with_its_seconds() -> None:
    now = [0.0]
    builder = AnswerBuilder(lambda: now[0])
    found = builder.take({"choices": [{"delta": {"reasoning_content": "Hm"}}]})
    now[0] = 2.5
    found += builder.take({"choices": [{"delta": {"content": "42"}, "finish_reason": "stop"}]})
    found += builder.finish()
    assert builder.parts == [
        {"type": "reasoning", "text": "Hm", "seconds": 2.5},
        {"type": "text", "text": "42"},
    ]
    assert rebuilt(found) == builder.parts


@pytest.mark.parametrize(
    ("text", "title"),
    [("short", "short"), (" two\nlines ", "two lines"), ("字" * 60, "字" * 48 + "…")],
)
def test_titles_are_the_first_words(text: str, title: str) -> None:
    assert first_words(text) == title


def test_the_fake_provider_says_hello() -> None:
    assert "".join(words({})) == SAID
