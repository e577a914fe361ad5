"""Files in questions: what the model gets, what is kept, and whose they have to be."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
from tests.workspace.conftest import USER, House, open_house

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


async def upload(client: httpx.AsyncClient, name: str, data: bytes) -> str:
    response = await client.post("/api/files", files={"file": (name, data)})
    assert response.status_code == 200, response.text
    file_id: str = response.json()["id"]
    return file_id


async def ask(client: httpx.AsyncClient, chat: str, *parts: dict[str, Any], **more: Any) -> httpx.Response:
    body = {"parts": [*parts, {"type": "text", "text": "What is it?"}], "models": ["fake"], **more}
    response = await client.post(f"/api/chats/{chat}/generate", json=body)
    if response.status_code == 200:
        for run in response.json()["generations"]:
            await client.get(f"/api/generations/{run['id']}/events")
    return response


async def new_chat(client: httpx.AsyncClient) -> str:
    chat_id: str = (await client.post("/api/chats", json={})).json()["id"]
    return chat_id


def asked(house: House) -> Any:
    """The last question that the model got."""
    body, _ = house.provider.requests[-1]
    return [message["content"] for message in body["messages"] if message["role"] == "user"][-1]


async def test_a_files_text_goes_into_the_prompt_as_a_named_block(house: House) -> None:
    async with house.signed_in() as ada:
        file = await upload(ada, "notes.md", b"# Pagodas\nhave roofs.")
        chat = await new_chat(ada)
        part = {"type": "file", "file_id": file, "name": "a lie", "tokens": 1}
        started = (await ask(ada, chat, part)).json()
        kept = {"type": "file", "file_id": file, "name": "notes.md", "tokens": 4}  # as the provider counts
        assert started["question"]["parts"][0] == kept
        wanted = '<file name="notes.md">\n# Pagodas\nhave roofs.\n</file>\n\nWhat is it?'
        assert asked(house) == wanted
        answer = started["generations"][0]["message"]["id"]
        await ask(ada, chat, parent_id=answer)
        assert house.provider.requests[-1][0]["messages"][0]["content"] == wanted
        await ada.delete(f"/api/files/{file}")
        await ask(ada, chat, parent_id=answer)
        first = house.provider.requests[-1][0]["messages"][0]["content"]
        assert first == "[file not available: notes.md]\n\nWhat is it?"


async def test_counts_that_nobody_knows_are_not_guessed(tmp_path: Path) -> None:
    async with open_house(tmp_path, models=("first", "fake")) as house, house.signed_in() as ada:
        file = await upload(ada, "a.txt", b"some text")
        started = (await ask(ada, await new_chat(ada), {"type": "file", "file_id": file})).json()
        assert started["question"]["parts"][0]["tokens"] is None


async def test_pictures_go_to_models_that_see(tmp_path: Path) -> None:
    async with (
        open_house(tmp_path, capabilities=frozenset({"vision"})) as house,
        house.signed_in() as ada,
    ):
        picture = await upload(ada, "a.png", PNG)
        await ask(ada, await new_chat(ada), {"type": "image", "file_id": picture})
        url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        assert asked(house) == [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": "What is it?"},
        ]


async def test_pictures_are_refused_for_models_that_do_not_see(house: House) -> None:
    async with house.signed_in() as ada:
        picture = await upload(ada, "a.png", PNG)
        chat = await new_chat(ada)
        response = await ask(ada, chat, {"type": "image", "file_id": picture})
        assert response.status_code == 400
        assert response.json()["error"]["message"] == "fake does not see pictures."
        assert (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"] == []


async def test_nobody_asks_with_files_that_are_not_theirs(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        file = await upload(ada, "secret.txt", b"secret")
        part = {"type": "file", "file_id": file}
        assert (await ask(grace, await new_chat(grace), part)).status_code == 404
        many = [part] * 21
        assert (await ask(ada, await new_chat(ada), *many)).status_code == 400
        temporary = {
            "messages": [{"role": "user", "parts": [part, {"type": "text", "text": "What?"}]}],
            "models": ["fake"],
        }
        started = (await grace.post("/api/temporary/generate", json=temporary)).json()
        for run in started.get("generations", []):
            await grace.get(f"/api/generations/{run['id']}/events")
        assert "secret" not in str(house.provider.requests).replace("secret.txt", "")
