"""What tests of plugin functions share: adding them, and asking through them."""

from __future__ import annotations

from typing import Any

import httpx
from tests.workspace.test_chats import ask, events, new_chat


async def add(client: httpx.AsyncClient, content: str, name: str, **switches: Any) -> dict[str, Any]:
    """Adds a function; active and global unless told otherwise."""
    made = await client.post("/api/admin/functions", json={"content": content, "id": name})
    assert made.status_code == 200, made.text
    switched = await client.patch(
        f"/api/admin/functions/{name}", json={"active": True, "is_global": True, **switches}
    )
    assert switched.status_code == 200, switched.text
    found: dict[str, Any] = switched.json()
    return found


async def answer(
    client: httpx.AsyncClient, text: str = "Hi", chat: str | None = None, **more: Any
) -> dict[str, Any]:
    """The last event of an answer."""
    chat = chat or await new_chat(client)
    started = await ask(client, chat, text, **more)
    return (await events(client, started["generations"][0]["id"]))[-1]


def text(event: dict[str, Any]) -> str:
    return "".join(part["text"] for part in event["message"]["parts"] if part["type"] == "text")


def statuses(event: dict[str, Any]) -> list[str]:
    return [part["description"] for part in event["message"]["parts"] if part["type"] == "status"]
