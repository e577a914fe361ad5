"""Filters around chats of programs, on a real server with a tiny model; its tokenizer is what functions count
with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.helpers.models import tiny_gguf
from tests.helpers.servers import start_server
from tests.workspace.conftest import ADMIN

PATH = "/v1/chat/completions"
FILTER = """
import tiktoken
class Filter:
    async def inlet(self, body, __event_emitter__, __user__):
        said = body["messages"][-1]["content"]
        if said == "refuse":
            raise Exception(f"Not for you, {__user__['name'] or 'nobody'}.")
        tokens = tiktoken.encoding_for_model(body["model"]).encode(said)
        assert tiktoken.get_encoding("cl100k_base").decode(tokens) == said
        await __event_emitter__({"type": "status", "data": {"description": "unseen"}})
        body["max_tokens"] = len(tokens)
        return body
    def stream(self, event):
        for choice in event["choices"]:
            choice["delta"]["filtered"] = True
        return event
    async def outlet(self, body):
        body["messages"][-1]["content"] = "after: " + body["messages"][-1]["content"]
        return body
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("functions_api")
    started = start_server(tiny_gguf(folder / "tiny.gguf"), folder, "--workspace")
    yield started.base_url
    started.stop()


def ask(client: httpx.Client, text: str, **more: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}], "ignore_eos": True, "max_tokens": 9, **more}
    return client.post(PATH, json=body)


def count(client: httpx.Client, text: str) -> int:
    found = client.post("/tokenize", json={"prompt": text, "add_special_tokens": False}).json()
    return int(found["count"])


def test_filters_stand_around_chats_of_programs(server: str) -> None:
    with (
        httpx.Client(base_url=server, timeout=60) as ada,
        httpx.Client(base_url=server, timeout=60) as program,
    ):
        assert ada.post("/api/setup", json=ADMIN).status_code == 200
        key = ada.post("/api/me/keys", json={"name": "k"}).json()["key"]
        assert ask(program, "four").json()["usage"]["completion_tokens"] == 9
        made = ada.post("/api/admin/functions", json={"content": FILTER, "id": "counts"})
        assert made.status_code == 200, made.text
        ada.patch("/api/admin/functions/counts", json={"active": True, "is_global": True})

        whole = ask(program, "four").json()
        assert whole["usage"]["completion_tokens"] == count(program, "four")
        assert whole["choices"][0]["message"]["content"].startswith("after: ")

        with_counts = {"stream": True, "stream_options": {"include_usage": True}}
        parts = ask(program, "seven..", **with_counts).text.split("\n\n")
        assert parts[-2:] == ["data: [DONE]", ""]
        chunks = [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]
        assert chunks[-1]["usage"]["completion_tokens"] == count(program, "seven..")
        assert all(choice["delta"]["filtered"] for chunk in chunks for choice in chunk["choices"])

        refused = ask(program, "refuse")
        assert (refused.status_code, refused.json()["error"]["message"]) == (400, "Not for you, nobody.")
        own = program.post(
            PATH,
            json={"messages": [{"role": "user", "content": "refuse"}]},
            headers={"Authorization": f"Bearer {key}"},
        )
        assert own.json()["error"]["message"] == "Not for you, Ada."
