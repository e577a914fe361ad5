"""Answers beyond the first: temporary ones, those that go on, presets, limits, and what tabs are told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from tests.workspace.conftest import USER, House, open_house
from tests.workspace.foreign import delta, foreign, says
from tests.workspace.test_chats import ask, events, new_chat, own_id, rebuilt

from pagoda.workspace.chats.service import group_of
from pagoda.workspace.generation.tabs import DISCONNECTED, MOST_TABS, TIMED_OUT, Tabs
from pagoda.workspace.models.setup import PARAMETERS, merged
from pagoda.workspace.providers.base import ProviderError
from pagoda.workspace.routes.streams import PING, kept_alive
from pagoda.workspace.storage.tables import Message, UsageEvent


def text(words: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": words}]


async def count(house: House, table: type[Message] | type[UsageEvent]) -> int:
    async with house.workspace.database.read() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


async def test_a_temporary_chat_leaves_nothing_but_its_count(house: House) -> None:
    async with house.signed_in() as ada:
        messages = [
            {"role": "user", "parts": text("One")},
            {"role": "assistant", "parts": text("Two")},
            {"role": "user", "parts": text("Three")},
        ]
        body = {"messages": messages, "models": ["fake"], "params": {"system": "Be brief."}}
        response = await ada.post("/api/temporary/generate", json=body)
        assert response.status_code == 200, response.text
        [started] = response.json()["generations"]
        found = await events(ada, started["id"])
        assert found[-1]["message"]["parts"] == text("Hello, world.") == rebuilt(found)
        body_sent = house.provider.requests[-1][0]
        assert [each["role"] for each in body_sent["messages"]] == ["system", "user", "assistant", "user"]
        assert await count(house, Message) == 0
        assert (await ada.get("/api/chats")).json()["chats"] == []
        assert await count(house, UsageEvent) == 1


async def test_an_answer_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    gate = asyncio.Semaphore(2)
    async with open_house(tmp_path, gate=gate) as house, house.signed_in() as ada:
        chat = await new_chat(ada)
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        run = house.workspace.generations.find(await own_id(ada), started["id"])
        async for batch in run.events():
            if any(event.get("text") == ", " for event in batch):
                break
        await ada.post(f"/api/generations/{started['id']}/stop")
        await events(ada, started["id"])
        for _ in range(4):
            gate.release()
        again = await ada.post(f"/api/chats/{chat}/generate", json={"continue_id": started["message_id"]})
        [more] = again.json()["generations"]
        assert more["message_id"] == started["message_id"]
        last = (await events(ada, more["id"]))[-1]["message"]
        assert last["parts"] == text("Hello, Hello, world.")
        assert last["status"] == "done"
        body = house.provider.requests[-1][0]
        assert body["messages"][-1] == {"role": "assistant", "content": "Hello, "}
        assert body["continue_final_message"] is True
        assert body["add_generation_prompt"] is False
        line = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
        assert [message["parts"] for message in line] == [text("Hi"), text("Hello, Hello, world.")]
        question = await ada.post(f"/api/chats/{chat}/generate", json={"continue_id": line[0]["id"]})
        assert question.status_code == 400


async def test_deleting_a_chat_stops_what_runs_in_it(tmp_path: Path) -> None:
    gate = asyncio.Semaphore(1)
    async with open_house(tmp_path, gate=gate) as house, house.signed_in() as ada:
        chat = await new_chat(ada)
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        run = house.workspace.generations.find(await own_id(ada), started["id"])
        async for batch in run.events():
            if any(event["type"] == "delta" for event in batch):
                break
        assert (await ada.delete(f"/api/chats/{chat}")).status_code == 200
        assert run.ended
        assert house.provider.closed == 1
        assert await count(house, Message) == 0


async def test_an_answer_stopped_before_it_began_ends_too(house: House) -> None:
    async with house.signed_in() as ada:
        chat = await new_chat(ada)
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        await events(ada, started["id"])
        principal = await house.workspace.accounts.by_session(ada.cookies["pagoda_session"])
        assert principal is not None
        made = await house.workspace.generations.start_temporary(
            principal, messages=[{"role": "user", "parts": text("Hi")}], models=["fake"], params={}
        )
        made[0].stop()  # its task has not run yet
        found = [event async for batch in made[0].events() for event in batch]
        assert found[-1]["message"]["status"] == "stopped"
        assert len(house.provider.requests) == 1


async def test_there_is_a_limit_to_what_runs_at_once(tmp_path: Path) -> None:
    gate = asyncio.Semaphore(0)
    async with open_house(tmp_path, gate=gate) as house, house.signed_in() as ada:
        body = {"messages": [{"role": "user", "parts": text("Hi")}], "models": ["fake"] * 8}
        for _ in range(2):
            assert (await ada.post("/api/temporary/generate", json=body)).status_code == 200
        refused = await ada.post("/api/temporary/generate", json={**body, "models": ["fake"]})
        assert refused.status_code == 429
        assert len((await ada.get("/api/generations")).json()["generations"]) == 16


async def test_what_is_not_permitted_is_said(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        permissions = dict.fromkeys(("chat.temporary", "chat.several_models", "chat.params"), False)
        changed = await ada.patch("/api/admin/settings", json={"USER_PERMISSIONS": permissions})
        assert changed.status_code == 200, changed.text
        chat = await new_chat(grace)
        temporary = {"messages": [{"role": "user", "parts": text("Hi")}], "models": ["fake"]}
        assert (await grace.post("/api/temporary/generate", json=temporary)).status_code == 403
        for more in ({"models": ["fake", "fake"]}, {"params": {"seed": 1}}):
            body = {"parts": text("Hi"), "models": ["fake"], **more}
            assert (await grace.post(f"/api/chats/{chat}/generate", json=body)).status_code == 403


async def test_a_preset_asks_its_base_with_its_own_settings(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        model = {"system": "House rules.", "params": {"temperature": 0.1, "top_p": 0.9}, "thinking": True}
        assert (await ada.patch("/api/admin/models/fake", json=model)).status_code == 200
        preset = {"base_id": "fake", "name": "Poet", "icon": "🪶", "system": "Rhyme.", "thinking": False}
        made = await grace.post("/api/presets", json={**preset, "params": {"temperature": 0.7}})
        assert made.status_code == 200, made.text
        poet = made.json()["id"]
        chat = await new_chat(grace)
        params = {"top_p": 0.5, "system": "Be brief."}
        started = await ask(grace, chat, "Hi", models=[poet], params=params)
        last = (await events(grace, started["generations"][0]["id"]))[-1]["message"]
        assert last["model"] == poet
        body = house.provider.requests[-1][0]
        assert body["model"] == "fake"
        assert body["messages"][0]["content"] == "House rules.\n\nRhyme.\n\nBe brief."
        assert (body["temperature"], body["top_p"]) == (0.7, 0.5)
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
        shown = (await grace.get("/api/models")).json()["models"]
        assert [(each["id"], each["name"], each["preset"]) for each in shown][1:] == [(poet, "Poet", True)]
        assert shown[1]["params"] == {"temperature": 0.7, "top_p": 0.9, "thinking": False}
        assert "House rules." not in str(shown), "a system prompt is not for everybody"
        shared = await grace.patch(f"/api/presets/{poet}", json={"visibility": "everyone"})
        assert shared.status_code == 403
        nested = await grace.post("/api/presets", json={"base_id": poet, "name": "Twice"})
        assert nested.status_code == 400
        assert (await grace.delete(f"/api/presets/{poet}")).status_code == 200


async def test_a_users_preset_opens_no_hidden_model_and_is_nobody_elses(house: House) -> None:
    ben = {"name": "Ben", "email": "ben@example.org", "password": "a long password"}
    async with house.signed_in() as ada, house.browser() as grace, house.browser() as other:
        await grace.post("/api/auth/signup", json=USER)
        await other.post("/api/auth/signup", json=ben)
        mine = (await grace.post("/api/presets", json={"base_id": "fake", "name": "Mine"})).json()["id"]
        house_preset = {"base_id": "fake", "name": "House", "visibility": "everyone"}
        open_to_all = (await ada.post("/api/presets", json=house_preset)).json()["id"]
        await ada.patch("/api/admin/models/fake", json={"visibility": "granted"})

        async def names(client: httpx.AsyncClient) -> list[str]:
            return [each["id"] for each in (await client.get("/api/models")).json()["models"]]

        assert await names(grace) == [open_to_all]
        assert await names(other) == [open_to_all]
        assert (await other.patch(f"/api/presets/{mine}", json={"name": "x"})).status_code == 404
        assert (await other.delete(f"/api/presets/{mine}")).status_code == 404
        chat = await new_chat(grace)
        refused = await grace.post(
            f"/api/chats/{chat}/generate", json={"models": [mine], "parts": text("Hi")}
        )
        assert refused.status_code == 404


async def test_models_have_an_order(tmp_path: Path) -> None:
    async with open_house(tmp_path, models=("one", "two", "three")) as house, house.signed_in() as ada:
        assert (await ada.put("/api/admin/models/order", json={"ids": ["three", "one"]})).status_code == 200
        shown = (await ada.get("/api/models")).json()["models"]
        assert [each["id"] for each in shown] == ["three", "one", "two"]
        values = {"name": "Uno", "description": "The first", "icon": "x" * 17}
        assert (await ada.patch("/api/admin/models/one", json=values)).status_code == 400
        await ada.patch("/api/admin/models/one", json={**values, "icon": "1"})
        listed = {each["id"]: each for each in (await ada.get("/api/admin/models")).json()["models"]}
        assert listed["one"]["name"] == "Uno"
        assert listed["two"]["visibility"] == "inherited"
        await ada.delete("/api/admin/models/one")
        shown = (await ada.get("/api/models")).json()["models"]
        assert [each["name"] for each in shown] == ["Three", "One", "Two"]


async def test_a_broken_connection_hurts_one_of_two_answers(house: House) -> None:
    async with foreign(says(delta(content="Hel"))) as server, house.signed_in() as ada:
        body = {"base_url": server.url, "allowed_models": ["far"]}
        await ada.post("/api/admin/connections", json=body)
        chat = await new_chat(ada)
        started = await ask(ada, chat, "Hi", models=["far", "fake"])
        ends = [(await events(ada, run["id"]))[-1] for run in started["generations"]]
        assert [end["type"] for end in ends] == ["failed", "done"]
        assert ends[0]["message"]["parts"] == text("Hel")
        assert ends[0]["error"]["kind"] == "unreachable"


async def test_a_tab_is_told_what_happens_elsewhere(house: House) -> None:
    async with house.signed_in() as ada:
        tab = house.workspace.tabs.open(await own_id(ada))
        chat = await new_chat(ada)
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        await events(ada, started["id"])
        stream = tab.events()
        told = [await anext(stream), await anext(stream)]
        assert [(each["type"], each["id"], each["running"]) for each in told] == [
            ("chat", chat, True),
            ("chat", chat, False),
        ]
        house.workspace.tabs.close(tab)


async def test_a_question_is_answered_by_its_own_user_alone(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        tabs, user = house.workspace.tabs, await own_id(ada)
        tab = tabs.open(user)
        asking = asyncio.create_task(tabs.call(user, "input", {"title": "Name?"}))
        call = await anext(tab.events())
        assert (call["kind"], call["data"]) == ("input", {"title": "Name?"})
        path = f"/api/events/{call['id']}"
        assert (await grace.post(path, json={"value": "Grace"})).status_code == 404
        assert (await ada.post(path, json={"value": "Ada"})).status_code == 200
        assert await asking == "Ada"
        assert (await ada.post(path, json={"value": "Twice"})).status_code == 404
        tabs.close(tab)


async def test_a_question_that_nobody_can_answer_ends() -> None:
    tabs = Tabs()
    assert await tabs.call("ada", "input", {}) == DISCONNECTED
    tab = tabs.open("ada")
    assert await tabs.call("ada", "input", {}, 0.01) == TIMED_OUT
    asking = asyncio.create_task(tabs.call("ada", "input", {}))
    await asyncio.sleep(0)
    tabs.close(tab)
    assert await asking == DISCONNECTED


async def test_tabs_that_take_nothing_and_tabs_without_end_are_let_go() -> None:
    tabs = Tabs()
    first = tabs.open("ada")
    for number in range(1000):
        tabs.publish("ada", {"type": "chat", "id": str(number)})
    assert not first.open
    assert len([event async for event in first.events()]) < 1000
    opened = [tabs.open("ada") for _ in range(MOST_TABS + 1)]
    assert [tab.open for tab in opened] == [False] + [True] * MOST_TABS


async def test_silence_is_filled() -> None:
    async def slow() -> Any:
        yield b"one"
        await asyncio.sleep(0.05)
        yield b"two"

    found = [piece async for piece in kept_alive(slow(), 0.01)]
    assert [piece for piece in found if piece != PING] == [b"one", b"two"]
    assert PING in found


async def test_counts_are_the_providers_own(tmp_path: Path) -> None:
    def fails(_body: object) -> list[str | ProviderError]:
        return ["Hel", ProviderError("gone")]

    async with open_house(tmp_path, fails) as house, house.signed_in() as ada:
        chat = await new_chat(ada)
        [started] = (await ask(ada, chat, "Hi"))["generations"]
        found = await events(ada, started["id"])
        assert found[-1]["message"]["usage"] is None
        assert await count(house, UsageEvent) == 0
        live = [event for event in found if event["type"] == "live"]
        assert live[-1]["context_used"] is None
        assert live[-1]["context_length"] == 8192


layers = st.lists(
    st.dictionaries(st.sampled_from([*PARAMETERS[:5], "system"]), st.sampled_from([None, 0, 1, "x"])),
    max_size=4,
)


@given(layers)
def test_the_nearest_parameter_counts_and_no_system_prompt_is_lost(found: list[dict[str, Any]]) -> None:
    result = merged(found)
    for name in PARAMETERS[:5]:
        values = [layer[name] for layer in found if layer.get(name) is not None]
        assert result.get(name) == (values[-1] if values else None)
    systems = [str(layer["system"]) for layer in found if layer.get("system")]
    assert result.get("system", "") == "\n\n".join(systems)


@pytest.mark.parametrize("thinking", [True, False])
def test_thinking_is_a_word_to_the_template(thinking: bool) -> None:
    result = merged([{"chat_template_kwargs": {"a": 1}}, {"thinking": thinking}])
    assert result == {"chat_template_kwargs": {"a": 1, "enable_thinking": thinking}}


async def test_answers_side_by_side_know_each_other_and_their_columns(house: House) -> None:
    async with house.signed_in() as ada:
        chat = await new_chat(ada)
        body = {"parent_id": None, "parts": text("Hi"), "models": ["fake", "fake", "fake"]}
        started = (await ada.post(f"/api/chats/{chat}/generate", json=body)).json()
        for run in started["generations"]:
            await events(ada, run["id"])
        answers = [run["message"] for run in started["generations"]]
        [group] = {answer["group"]["id"] for answer in answers}
        assert [answer["group"]["column"] for answer in answers] == [0, 1, 2]

        def again(**values: object) -> dict[str, object]:
            return {"parent_id": answers[0]["parent_id"], "parts": None, "models": ["fake"], **values}

        url = f"/api/chats/{chat}/generate"
        [version] = (await ada.post(url, json=again(version_of=answers[1]["id"]))).json()["generations"]
        await events(ada, version["id"])
        assert version["message"]["group"] == {"id": group, "column": 1}
        page = (await ada.get(f"/api/chats/{chat}/messages")).json()
        assert page["messages"][-1]["id"] == version["message_id"]
        beside = [(each["group"]["column"], each["id"]) for each in page["beside"]]
        assert [column for column, _ in beside] == [0, 1, 1, 2]
        assert {found for column, found in beside if column == 1} == {answers[1]["id"], version["message_id"]}

        # One that is asked for alone stands alone, and what is beside does not hang on the time.
        [alone] = (await ada.post(url, json=again())).json()["generations"]
        await events(ada, alone["id"])
        assert alone["message"]["group"] is None
        assert (await ada.get(f"/api/chats/{chat}/messages")).json()["beside"] == []
        leaf = {"leaf": answers[0]["id"]}
        assert len((await ada.get(f"/api/chats/{chat}/messages", params=leaf)).json()["beside"]) == 4

        other = await new_chat(ada)
        question = (await ask(ada, other, "Other"))["question"]
        foreign_place = {**again(version_of=answers[1]["id"]), "parent_id": question["id"]}
        refused = await ada.post(f"/api/chats/{other}/generate", json=foreign_place)
        assert refused.status_code == 404


@pytest.mark.sqlite_only
def test_a_place_beside_others_that_a_file_invents_is_none() -> None:
    for invented in ({}, {"group": "x"}, {"group": {"id": 1, "column": 0}}, {"group": {"id": "a"}}):
        assert group_of(Message(meta=invented)) is None
