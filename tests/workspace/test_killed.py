"""A server that is killed in the middle of an answer: its text is there, the database whole, it goes on."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from tests.helpers.scripted import Reply, scripted_model, scripted_server
from tests.workspace.conftest import ADMIN

WORD = "again "


def events(client: httpx.Client, run_id: str, after: int = 0) -> Iterator[dict[str, Any]]:
    """As they come."""
    path = f"/api/generations/{run_id}/events"
    with client.stream("GET", path, params={"after": after}, timeout=60.0) as response:
        for line in response.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line[5:])


def answer(client: httpx.Client, chat: str) -> dict[str, Any]:
    """The chat's last message as the database has it."""
    messages = client.get(f"/api/chats/{chat}/messages").raise_for_status().json()["messages"]
    found: dict[str, Any] = messages[-1]
    return found


def text(message: dict[str, Any]) -> str:
    return "".join(part["text"] for part in message["parts"])


def test_a_killed_server_loses_what_was_not_yet_written_alone(tmp_path: Path) -> None:
    endless = Reply(when="endless", text=WORD, repeat=True, step_ms=20)
    model = scripted_model(tmp_path / "model", [endless], max_model_len=1 << 16)
    with scripted_server(model, tmp_path / "server", workspace=True) as server:
        with httpx.Client(base_url=server.base_url) as client:
            client.post("/api/setup", json=ADMIN).raise_for_status()
            chat = client.post("/api/chats", json={}).json()["id"]
            question = {"parts": [{"type": "text", "text": "An endless one"}], "models": [server.model]}
            asked = client.post(f"/api/chats/{chat}/generate", json=question).raise_for_status()
            [run] = asked.json()["generations"]
            # Written down again and again while it grows: seen three times, each longer than the last.
            written = [""]
            for event in events(client, run["id"]):
                if event["type"] != "delta":
                    continue
                now = text(answer(client, chat))
                if len(now) > len(written[-1]):
                    written.append(now)
                if len(written) > 3:
                    break
            cookies = client.cookies
        server.stop(signal.SIGKILL)

    [database] = (tmp_path / "server" / "home").rglob("workspace.db")
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()

    with (
        scripted_server(model, tmp_path / "server", workspace=True) as server,
        httpx.Client(base_url=server.base_url, cookies=cookies) as client,
    ):
        found = answer(client, chat)
        saved = text(found)
        assert found["status"] == "stopped"
        assert saved.startswith(written[-1])
        assert (WORD * len(saved)).startswith(saved)
        again = client.post(f"/api/chats/{chat}/generate", json={"continue_id": found["id"]})
        [run] = again.raise_for_status().json()["generations"]
        for event in events(client, run["id"]):
            if event["type"] == "delta":
                break
        client.post(f"/api/generations/{run['id']}/stop").raise_for_status()
        *_, last = events(client, run["id"])
        assert last["message"]["status"] == "stopped"
        whole = text(answer(client, chat))
        assert whole.startswith(saved)
        assert len(whole) > len(saved)
