"""Connections: the house's, the environment's and users' own; who sees their models."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.workspace.conftest import USER, House, open_house
from tests.workspace.foreign import Asked, Foreign, delta, foreign, head, says
from tests.workspace.test_chats import ask, events, new_chat

from pagoda.workspace.providers.environment import fixed_connections
from pagoda.workspace.settings import WorkspaceSettings

ANSWER = says(delta(finish="stop", content="From afar."))


async def connect(client: httpx.AsyncClient, server: Foreign, **values: Any) -> dict[str, Any]:
    body = {"base_url": server.url, "key": "sk-secret", **values}
    response = await client.post("/api/admin/connections", json=body)
    assert response.status_code == 200, response.text
    made: dict[str, Any] = response.json()
    tested = await client.post(f"/api/admin/connections/{made['id']}/test")
    assert tested.status_code == 200
    return made


async def names(client: httpx.AsyncClient) -> list[str]:
    return [model["id"] for model in (await client.get("/api/models")).json()["models"]]


async def known(house: House) -> None:
    """Waits until all connections have been asked."""
    await house.workspace.connections.wait_first(10)
    for live in house.workspace.connections.all():
        await live.refresh()


async def test_a_model_from_afar_answers_and_its_key_stays(house: House) -> None:
    async with foreign(ANSWER) as server, house.signed_in() as ada:
        made = await connect(ada, server, prefix="lab")
        await known(house)
        assert await names(ada) == ["fake", "lab.far"]
        chat = await new_chat(ada)
        started = await ask(ada, chat, "Hi", models=["lab.far"])
        last = (await events(ada, started["generations"][0]["id"]))[-1]
        assert last["message"]["parts"] == [{"type": "text", "text": "From afar."}]
        assert last["message"]["model"] == "lab.far"
        asked = server.asked[-1]
        assert asked.body is not None
        assert asked.body["model"] == "far"
        assert asked.headers["authorization"] == "Bearer sk-secret"
        listed = await ada.get("/api/admin/connections")
        assert "sk-secret" not in listed.text + json.dumps(made)
        assert listed.json()["connections"][0]["state"] == "ready"
        assert listed.json()["connections"][0]["has_key"] is True


async def test_the_button_says_what_answered(house: House) -> None:
    async def page(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head("text/html") + b"<html>Welcome to nginx")

    async with foreign(page) as server, house.signed_in() as ada:
        made = await connect(ada, server)
        found = (await ada.post(f"/api/admin/connections/{made['id']}/test")).json()
        assert found["ok"] is False
        assert "web page" in found["error"]
    async with foreign(ANSWER) as server, house.signed_in() as ada:
        made = await connect(ada, server)
        found = (await ada.post(f"/api/admin/connections/{made['id']}/test")).json()
        assert (found["ok"], found["models"]) == (True, ["far"])
        assert found["seconds"] > 0


async def test_a_connection_that_hangs_delays_no_page(house: House) -> None:
    async def hangs(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with foreign(hangs) as server, house.signed_in() as ada:
        body = {"base_url": server.url, "allowed_models": ["known"]}
        await ada.post("/api/admin/connections", json=body)
        shown = await asyncio.wait_for(ada.get("/api/models"), 5)
        assert [model["id"] for model in shown.json()["models"]] == ["fake", "known"]


async def test_a_key_does_not_go_to_another_server_unasked(house: House) -> None:
    async with foreign(ANSWER) as server, foreign(ANSWER) as other, house.signed_in() as ada:
        made = await connect(ada, server)
        path = f"/api/admin/connections/{made['id']}"
        refused = await ada.patch(path, json={"base_url": other.url})
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "key"
        assert (await ada.patch(path, json={"base_url": other.url, "key": "new"})).status_code == 200
        await ada.post(f"{path}/test")
        assert other.asked[-1].headers["authorization"] == "Bearer new"
        assert (await ada.patch(path, json={"name": "Renamed"})).json()["name"] == "Renamed"
        assert (await ada.patch(path, json={"key": ""})).json()["has_key"] is False
        assert (await ada.delete(path)).status_code == 200
        assert await names(ada) == ["fake"]


async def test_a_granted_connection_is_seen_by_those_it_is_granted_to(house: House) -> None:
    async with foreign(ANSWER) as server, house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        made = await connect(ada, server, visibility="granted")
        await known(house)
        path = f"/api/admin/connections/{made['id']}"
        assert await names(grace) == ["fake"]
        assert await names(ada) == ["fake", "far"]
        chat = await new_chat(grace)
        refused = await grace.post(f"/api/chats/{chat}/generate", json={"parts": None, "models": ["far"]})
        assert refused.status_code == 404
        grace_id = (await grace.get("/api/me")).json()["id"]
        granted = await ada.patch(path, json={"grants": [{"type": "user", "id": grace_id}]})
        assert granted.json()["grants"] == [{"type": "user", "id": grace_id}]
        assert await names(grace) == ["fake", "far"]
        await ada.patch("/api/admin/models/far", json={"visibility": "granted"})
        assert await names(grace) == ["fake"]  # a model's own setting goes before its connection's
        await ada.patch("/api/admin/models/far", json={"visibility": "everyone", "enabled": False})
        assert await names(grace) == ["fake"]
        assert (await grace.get("/api/admin/connections")).status_code == 403


async def test_own_connections_are_ones_own_and_guarded(tmp_path: Path) -> None:
    settings = WorkspaceSettings.from_environment({"ENABLE_PRIVATE_CONNECTIONS": "true"})
    for allowed in (False, True):
        folder = tmp_path / str(allowed)
        folder.mkdir()
        setup = settings if allowed else None
        async with (
            foreign(ANSWER) as server,
            open_house(folder, settings=setup) as house,
            house.signed_in() as ada,
        ):
            made = (await ada.post("/api/connections", json={"base_url": server.url})).json()
            tested = (await ada.post(f"/api/connections/{made['id']}/test")).json()
            assert tested["ok"] is allowed
            assert allowed or "private network" in tested["error"]
            assert len(server.asked) > 0 if allowed else not server.asked
            assert (await ada.get("/api/admin/connections")).json()["connections"] == []
            assert (await ada.patch(f"/api/admin/connections/{made['id']}", json={})).status_code == 404


async def test_own_connections_need_the_permission(house: House) -> None:
    async with house.signed_in(), house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        assert (await grace.get("/api/connections")).status_code == 403
        body = {"base_url": "https://far.example/v1"}
        assert (await grace.post("/api/connections", json=body)).status_code == 403


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"base_url": "far.example/v1"}, "base_url"),
        ({"base_url": "http://user:pass@far.example"}, "base_url"),
        ({"base_url": "http://far.example", "key": "schlüssel"}, "key"),
    ],
)
async def test_what_cannot_work_is_refused(tmp_path: Path, values: dict[str, str], param: str) -> None:
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        refused = await ada.post("/api/admin/connections", json=values)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == param


def test_the_environment_names_connections() -> None:
    found = fixed_connections(
        {
            "OPENAI_API_BASE_URLS": "http://one/v1/;;http://three/v1",
            "OPENAI_API_KEYS": "a;b",
            "OLLAMA_BASE_URL": "http://ollama:11434",
        }
    )
    assert [(each.base_url, each.key, each.locked_by) for each in found] == [
        ("http://one/v1", "a", "OPENAI_API_BASE_URLS"),
        ("http://three/v1", None, "OPENAI_API_BASE_URLS"),
        ("http://ollama:11434/v1", None, "OLLAMA_BASE_URL"),
    ]
    assert fixed_connections({"OPENAI_API_KEY": "sk-alone"}) == ()  # never a public host by default
    off = {"OPENAI_API_BASE_URL": "http://one", "ENABLE_OPENAI_API": "false"}
    assert fixed_connections({**off, "OLLAMA_BASE_URL": "http://o", "ENABLE_OLLAMA_API": "False"}) == ()


async def test_connections_of_the_environment_are_locked(tmp_path: Path) -> None:
    async with foreign(ANSWER) as server:
        environment = {"OPENAI_API_BASE_URL": server.url, "OPENAI_API_KEY": "sk-env", "ENABLE_SIGNUP": "true"}
        settings = WorkspaceSettings.from_environment(environment)
        async with open_house(tmp_path, settings=settings) as house, house.signed_in() as ada:
            await known(house)
            assert await names(ada) == ["fake", "far"]
            [shown] = (await ada.get("/api/admin/connections")).json()["connections"]
            assert shown["locked_by"] == "OPENAI_API_BASE_URL"
            refused = await ada.patch(f"/api/admin/connections/{shown['id']}", json={"name": "x"})
            assert refused.status_code == 409
            assert "OPENAI_API_BASE_URL" in refused.json()["error"]["message"]
    assert server.asked[0].headers["authorization"] == "Bearer sk-env"
