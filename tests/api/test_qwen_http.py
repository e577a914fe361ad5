"""Chats with the real tokenizers and templates of Qwen2.5, Qwen3 and QwQ, behind the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.helpers.scripted import TokenizerName, scripted_model, scripted_server
from tests.helpers.servers import Server

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Reports it.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "上海"}}\n</tool_call>'
KINDS: tuple[TokenizerName, ...] = ("qwen2.5", "qwen3", "qwq")
THOUGHT = {"qwen2.5": "", "qwen3": "<think>\nHm 😀.\n</think>\n\n", "qwq": "Hm 😀.\n</think>\n\n"}


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    kind: TokenizerName = request.param
    folder = tmp_path_factory.mktemp(kind.replace(".", ""))
    thought = THOUGHT[kind]
    replies = [
        ("Q-call", thought + CALL),
        ("Q-two", f"{thought}{CALL}\n{CALL}"),
        ("Q-text", f"{thought}早上好 👋🏽 <b>"),
        ("Q-json", f'{thought}{{"city": "Köln"}}'),
    ]
    model = scripted_model(folder / "model", replies, tokenizer=kind)
    flags = () if kind == "qwen2.5" else ("--reasoning-parser", "auto")
    with scripted_server(model, folder / "server", *flags, name=kind) as running:
        yield running


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, timeout=60) as client:
        yield client


def ask(http: httpx.Client, text: str, **fields: Any) -> Any:
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 200, **fields}
    response = http.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]


def expected_reasoning(server: Server) -> str | None:
    return {"qwen2.5": None, "qwen3": "\nHm 😀.\n", "qwq": "Hm 😀.\n"}[server.model]


def test_text(http: httpx.Client, server: Server) -> None:
    choice = ask(http, "Q-text")
    assert choice["message"]["content"].lstrip("\n") == "早上好 👋🏽 <b>"
    assert choice["message"]["reasoning"] == expected_reasoning(server)


@pytest.mark.parametrize("question", ["Q-call", "Q-two"])
def test_calls_by_the_parser_that_the_template_tells(
    http: httpx.Client, server: Server, question: str
) -> None:
    choice = ask(http, question, tools=[TOOL])
    calls = choice["message"]["tool_calls"]
    assert len(calls) == (2 if question == "Q-two" else 1)
    assert all(json.loads(call["function"]["arguments"]) == {"city": "上海"} for call in calls)
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning"] == expected_reasoning(server)
    assert not (choice["message"]["content"] or "").strip()


def test_a_whole_conversation_with_a_call(http: httpx.Client) -> None:
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "上海"}'},
    }
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Q-call"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "rain. Q-text"},
    ]
    body = {"messages": messages, "tools": [TOOL], "return_prompt_text": True}
    made = http.post("/v1/chat/completions", json=body).json()
    assert "早上好" in made["choices"][0]["message"]["content"]
    assert '{"name": "get_weather", "arguments": {"city": "上海"}}' in made["prompt_text"]
    assert "<tool_response>\nrain. Q-text\n</tool_response>" in made["prompt_text"]
    tokens = http.post("/tokenize", json={"messages": messages, "tools": [TOOL]}).json()
    assert tokens["count"] == made["usage"]["prompt_tokens"]


def test_a_schema_after_the_reasoning(http: httpx.Client, server: Server) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    choice = ask(http, "Q-json", response_format=form)
    assert json.loads(choice["message"]["content"])["city"].startswith("Köln")
    assert choice["message"]["reasoning"] == expected_reasoning(server)


def test_a_forced_call(http: httpx.Client, server: Server) -> None:
    choice = ask(http, "Q-text", tools=[TOOL], tool_choice="required", enable_thinking=False)
    calls = choice["message"]["tool_calls"]
    assert calls or choice["finish_reason"] == "length"
    assert all(call["function"]["name"] == "get_weather" for call in calls)
