"""Tools where nothing is made for them: templates without a place for tools, servers that read no calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.helpers.scripted import scripted_model, scripted_server
from tests.helpers.servers import Server

from pagoda.api.tool_prompt import with_tools_told

CHAT = "/v1/chat/completions"
PLAIN = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOL = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}},
}
CALL = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'
HISTORY: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Which hour?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "get_time", "arguments": {"a": 1}}}
        ],
    },
    {"role": "tool", "content": "noon"},
    {"role": "tool", "content": "night"},
    {"role": "user", "content": "So?"},
]


def test_calls_and_results_become_text() -> None:
    told = with_tools_told(HISTORY, [TOOL])
    assert [message["role"] for message in told] == ["system", "user", "assistant", "user", "user"]
    assert told[0]["content"].startswith("Be brief.\n\n")
    assert json.dumps(TOOL) in told[0]["content"]
    assert told[2]["content"] == '<tool_call>\n{"name": "get_time", "arguments": {"a": 1}}\n</tool_call>'
    noon, night = (f"<tool_response>\n{text}\n</tool_response>" for text in ("noon", "night"))
    assert told[3]["content"] == f"{noon}\n{night}"
    assert HISTORY[2]["tool_calls"]  # the request itself is not changed
    assert [message["role"] for message in with_tools_told(HISTORY[1:2], [TOOL])] == ["system", "user"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    (folder / "plain.jinja").write_text(PLAIN, "utf-8")
    return folder


def served(folder: Path, *flags: str) -> Iterator[Server]:
    model = scripted_model(folder / "model", [("hour", CALL), ("noon", "It is noon.")])
    template = ("--chat-template", str(folder / "plain.jinja"))
    with scripted_server(model, folder / "server", *template, *flags) as running:
        yield running


@pytest.fixture(scope="module")
def plain(folder: Path) -> Iterator[Server]:
    yield from served(folder)


@pytest.fixture(scope="module")
def deaf(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Server]:
    other = tmp_path_factory.mktemp("deaf")
    (other / "plain.jinja").write_text(PLAIN, "utf-8")
    yield from served(other, "--tool-call-parser", "none")


def ask(server: Server, **body: Any) -> httpx.Response:
    return httpx.post(
        f"{server.base_url}{CHAT}", json={"tools": [TOOL], "max_tokens": 80, **body}, timeout=60
    )


def test_a_model_without_a_place_for_tools_is_told_in_words(plain: Server) -> None:
    made = ask(plain, messages=HISTORY[:2], return_prompt_text=True).json()
    [choice] = made["choices"]
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "get_time", "arguments": "{}"}
    assert choice["finish_reason"] == "tool_calls"
    assert "get_time" in made["prompt_text"]
    after = ask(plain, messages=HISTORY[:4]).json()["choices"][0]
    assert after["message"]["content"] == "It is noon."
    hidden = ask(plain, messages=HISTORY[:2], tool_choice="none", return_prompt_text=True).json()
    assert "get_time" not in hidden["prompt_text"]
    counted = httpx.post(f"{plain.base_url}/tokenize", json={"messages": HISTORY[:2], "tools": [TOOL]}).json()
    assert counted["count"] == made["usage"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("auto", '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (None, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        ("required", 'tool_choice="required" requires --tool-call-parser to be set'),
        ({"type": "function", "function": {"name": "get_time"}}, "requires --tool-call-parser to be set"),
    ],
)
def test_a_server_that_reads_no_calls_says_so(deaf: Server, choice: Any, words: str) -> None:
    response = ask(deaf, messages=HISTORY[:2], tool_choice=choice)
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]
    assert ask(deaf, messages=HISTORY[:2], tool_choice="none").status_code == 200
