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


PIPE = """
class Pipe:
    def pipes(self):
        return [{"id": "loud", "name": "Loud"}, {"id": "dead", "name": "Dead"}]
    async def pipe(self, body, __user__, __event_emitter__):
        assert __event_emitter__ is None
        if body["model"].endswith("dead"):
            raise Exception("The pipe is clogged.")
        yield __user__["name"] + " said "
        yield body["messages"][-1]["content"].upper()
"""
MARKS = """
class Filter:
    def inlet(self, body, __user__):
        if body["messages"][-1]["content"] == "refuse":
            raise Exception(f"Not for you, {__user__['name'] or 'nobody'}.")
        return body
    def stream(self, event):
        for choice in event["choices"]:
            choice["delta"]["content"] = "<" + choice["delta"].get("content", "") + ">"
        return event
    def outlet(self, body):
        body["messages"][-1]["content"] = "after: " + body["messages"][-1]["content"]
        return body
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("functions_api")
    started = start_server(tiny_gguf(folder / "tiny.gguf"), folder, workspace=True)
    yield started.base_url
    started.stop()


def signed_in(client: httpx.Client) -> str:
    """Signs Ada in, whom the first to come makes; gives a key of hers."""
    if client.post("/api/setup", json=ADMIN).status_code != 200:
        who = {"email": ADMIN["email"], "password": ADMIN["password"]}
        assert client.post("/api/auth/login", json=who).status_code == 200
    return str(client.post("/api/me/keys", json={"name": "k"}).json()["key"])


def switch(ada: httpx.Client, content: str, name: str) -> None:
    """Adds a function, on for everybody."""
    made = ada.post("/api/admin/functions", json={"content": content, "id": name})
    assert made.status_code == 200, made.text
    on = {"active": True, "is_global": True}
    assert ada.patch(f"/api/admin/functions/{name}", json=on).status_code == 200


def say(client: httpx.Client, text: str, headers: Any = None, **more: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}], "ignore_eos": True, "max_tokens": 9, **more}
    return client.post(PATH, json=body, headers=headers)


def anthropic(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "claude", "max_tokens": 5, "messages": [{"role": "user", "content": text}], **more}


def texts_of(stream: str) -> str:
    data = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    chunks = [json.loads(each) for each in data if each != "[DONE]"]
    return "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"])


def count(client: httpx.Client, text: str) -> int:
    found = client.post("/tokenize", json={"prompt": text, "add_special_tokens": False}).json()
    return int(found["count"])


def test_pipes_and_presets_are_models_for_personal_keys(server: str) -> None:
    with (
        httpx.Client(base_url=server, timeout=60) as ada,
        httpx.Client(base_url=server, timeout=60) as program,
    ):
        mine = {"Authorization": f"Bearer {signed_in(ada)}"}
        switch(ada, PIPE, "echo")
        base = program.get("/v1/models").json()["data"][0]["id"]
        preset = {"name": "Pirate", "base_id": base, "system": "Talk like a pirate."}
        made = ada.post("/api/presets", json={**preset, "params": {"max_tokens": 3}})
        assert made.status_code == 200, made.text
        pirate = made.json()["id"]

        assert [each["id"] for each in program.get("/v1/models").json()["data"]] == [base]
        seen = {each["id"]: each for each in program.get("/v1/models", headers=mine).json()["data"]}
        assert set(seen) == {base, "echo.loud", "echo.dead", pirate}
        assert seen[pirate]["parent"] == base
        assert program.get("/v1/models/echo.loud", headers=mine).json()["id"] == "echo.loud"
        assert program.get("/v1/models/echo.loud").status_code == 404

        assert say(program, "hi", model="echo.loud").status_code == 404
        whole = say(program, "hi", mine, model="echo.loud").json()
        assert whole["model"] == "echo.loud"
        assert whole["choices"][0]["message"]["content"] == "Ada said HI"
        assert whole["choices"][0]["finish_reason"] == "stop"
        assert whole["usage"] is None
        streamed = say(program, "hi", mine, model="echo.loud", stream=True).text
        assert texts_of(streamed) == "Ada said HI"
        assert streamed.endswith("data: [DONE]\n\n")
        dead = say(program, "hi", mine, model="echo.dead")
        assert (dead.status_code, dead.json()["error"]["message"]) == (502, "The pipe is clogged.")
        other = program.post("/v1/messages", json=anthropic("hi", model="echo.loud"), headers=mine)
        assert other.status_code == 400
        assert "/v1/chat/completions alone" in other.json()["error"]["message"]

        piped = say(program, "hi", mine, model=pirate, max_tokens=None).json()
        assert (piped["model"], piped["usage"]["completion_tokens"]) == (pirate, 3)
        asked = [
            say(program, "hi", mine, model=name).json()["usage"]["prompt_tokens"] for name in (base, pirate)
        ]
        assert asked[1] > asked[0]
        ada.delete("/api/admin/functions/echo")


def test_filters_stand_around_messages_and_responses(server: str) -> None:
    with (
        httpx.Client(base_url=server, timeout=60) as ada,
        httpx.Client(base_url=server, timeout=60) as program,
    ):
        key = signed_in(ada)
        switch(ada, MARKS, "marks")
        whole = program.post("/v1/messages", json=anthropic("hi")).json()
        assert whole["content"][0]["text"].startswith("after: ")
        streamed = program.post("/v1/messages", json=anthropic("hi", stream=True)).text
        assert '"text":"<' in streamed
        assert "message_stop" in streamed
        refused = program.post("/v1/messages", json=anthropic("refuse"), headers={"x-api-key": key})
        assert refused.json()["error"]["message"] == "Not for you, Ada."

        asked = {"input": "hi", "max_output_tokens": 5}
        made = program.post("/v1/responses", json=asked).json()
        assert made["output"][-1]["content"][0]["text"].startswith("after: ")
        events = program.post("/v1/responses", json={**asked, "stream": True}).text
        assert '"delta":"<' in events
        refused = program.post("/v1/responses", json={"input": "refuse"})
        assert (refused.status_code, refused.json()["error"]["message"]) == (400, "Not for you, nobody.")
        ada.delete("/api/admin/functions/marks")


def test_filters_stand_around_chats_of_programs(server: str) -> None:
    with (
        httpx.Client(base_url=server, timeout=60) as ada,
        httpx.Client(base_url=server, timeout=60) as program,
    ):
        key = signed_in(ada)
        assert say(program, "four").json()["usage"]["completion_tokens"] == 9
        switch(ada, FILTER, "counts")

        whole = say(program, "four").json()
        assert whole["usage"]["completion_tokens"] == count(program, "four")
        assert whole["choices"][0]["message"]["content"].startswith("after: ")

        with_counts = {"stream": True, "stream_options": {"include_usage": True}}
        parts = say(program, "seven..", **with_counts).text.split("\n\n")
        assert parts[-2:] == ["data: [DONE]", ""]
        chunks = [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]
        assert chunks[-1]["usage"]["completion_tokens"] == count(program, "seven..")
        assert all(choice["delta"]["filtered"] for chunk in chunks for choice in chunk["choices"])

        refused = say(program, "refuse")
        assert (refused.status_code, refused.json()["error"]["message"]) == (400, "Not for you, nobody.")
        own = program.post(
            PATH,
            json={"messages": [{"role": "user", "content": "refuse"}]},
            headers={"Authorization": f"Bearer {key}"},
        )
        assert own.json()["error"]["message"] == "Not for you, Ada."
