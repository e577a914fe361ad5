"""Tokens over HTTP: /tokenize, /detokenize, the render routes, /inference/v1/generate, and /invocations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.helpers.servers import Server

HI = [{"role": "user", "content": "hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def http(tiny_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tiny_server.base_url, timeout=60) as client:
        yield client


def post(http: httpx.Client, path: str, **body: Any) -> Any:
    response = http.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_texts_tokens_and_back(http: httpx.Client) -> None:
    made = post(http, "/tokenize", prompt="Grüße, 世界!", add_special_tokens=False, return_token_strs=True)
    assert set(made) == {"count", "max_model_len", "tokens", "token_strs"}
    assert made["count"] == len(made["tokens"]) == len(made["token_strs"])
    assert made["max_model_len"] == 512
    assert post(http, "/detokenize", tokens=made["tokens"]) == {"prompt": "Grüße, 世界!"}
    assert post(http, "/tokenize", prompt="a")["token_strs"] is None
    assert post(http, "/tokenize", prompt="", add_special_tokens=False)["count"] == 0


def test_a_conversations_tokens_are_those_of_the_chat(http: httpx.Client) -> None:
    chat = post(http, "/v1/chat/completions", messages=HI, max_tokens=1, return_token_ids=True)
    tokens = post(http, "/tokenize", messages=HI)["tokens"]
    assert tokens == chat["prompt_token_ids"]
    assert post(http, "/v1/chat/completions/render", messages=HI)["token_ids"] == tokens
    closed = post(http, "/tokenize", messages=HI, add_generation_prompt=False)["tokens"]
    assert len(closed) < len(tokens)
    text = post(http, "/detokenize", tokens=tokens)["prompt"]
    assert post(http, "/tokenize", prompt=text, add_special_tokens=False)["tokens"] == tokens


@pytest.mark.parametrize(
    ("path", "body", "param", "words"),
    [
        ("/tokenize", {}, "prompt", "either prompt or messages"),
        ("/tokenize", {"prompt": "a", "messages": HI}, "prompt", "either prompt or messages"),
        ("/tokenize", {"messages": HI, "tools": []}, "tools", "must not be empty"),
        ("/tokenize", {"messages": []}, "messages", "must not be empty"),
        ("/tokenize", {"prompt": "a" * (4 * 1024 * 1024 + 1)}, "prompt", "at most 4,194,304"),
        ("/tokenize", {"prompt": "a", "model": "none"}, "model", "does not exist"),
        ("/detokenize", {"tokens": [-1]}, "tokens", "out of vocabulary"),
        ("/detokenize", {"tokens": [10**9]}, "tokens", "out of vocabulary"),
        ("/detokenize", {"tokens": "abc"}, "tokens", "valid list"),
        ("/inference/v1/generate", {"token_ids": []}, "prompt", "must not be empty"),
        (
            "/inference/v1/generate",
            {"token_ids": [1], "sampling_params": {"n": "x"}},
            "sampling_params",
            "int",
        ),
        ("/inference/v1/generate", {"token_ids": [1], "sampling_params": {"top_p": 7}}, "top_p", "at most 1"),
        ("/inference/v1/generate", {"token_ids": [1], "sampling_params": {"logprobs": 99}}, "logprobs", "20"),
        ("/invocations", {"a": 1}, None, "none of the requests"),
        ("/v1/chat/completions/batch", {"messages": []}, "messages", "1 to 256"),
        ("/v1/chat/completions/batch", {"messages": [HI], "stream": True}, "stream", "answered whole"),
    ],
)
def test_what_cannot_be_served(
    http: httpx.Client, path: str, body: dict[str, Any], param: str | None, words: str
) -> None:
    response = http.post(path, json=body)
    assert response.status_code == (404 if param == "model" else 400), response.text
    error = response.json()["error"]
    assert error["param"] == param
    assert words in error["message"]


def test_tokens_in_and_out(http: httpx.Client) -> None:
    [rendered] = post(http, "/v1/completions/render", prompt=["hi"], max_tokens=6, seed=3)
    text = post(http, "/v1/completions", prompt="hi", max_tokens=6, seed=3, return_token_ids=True)
    made = post(http, "/inference/v1/generate", **rendered)
    [choice] = made["choices"]
    assert choice["token_ids"] == text["choices"][0]["token_ids"]
    assert made["usage"]["completion_tokens"] == len(choice["token_ids"])
    assert made["request_id"]


def test_tokens_in_a_stream(http: httpx.Client) -> None:
    body = {"token_ids": [65, 66], "sampling_params": {"max_tokens": 5, "ignore_eos": True, "logprobs": 1}}
    whole = post(
        http, "/inference/v1/generate", **{**body, "sampling_params": {**body["sampling_params"], "seed": 1}}
    )
    body["sampling_params"]["seed"] = 1
    options = {"stream": True, "stream_options": {"include_usage": True}}
    response = http.post("/inference/v1/generate", json={**body, **options})
    parts = response.text.split("\n\n")
    assert parts[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(part.removeprefix("data: ")) for part in parts[:-2]]
    tokens = [token for chunk in chunks for choice in chunk["choices"] for token in choice["token_ids"]]
    assert tokens == whole["choices"][0]["token_ids"]
    assert chunks[-1]["usage"]["completion_tokens"] == 5
    assert whole["choices"][0]["logprobs"]["content"][0]["top_logprobs"]


def test_rendering_generates_nothing(http: httpx.Client) -> None:
    def finished() -> list[str]:
        lines = http.get("/metrics").text.splitlines()
        return [line for line in lines if line.startswith("vllm:request_success_total")]

    before = finished()
    rendered = post(http, "/v1/chat/completions/render", messages=HI, temperature=0.5, stop=["x"])
    assert rendered["sampling_params"]["temperature"] == 0.5
    assert rendered["sampling_params"]["stop"] == ["x"]
    assert finished() == before


def test_several_conversations_at_once(http: httpx.Client) -> None:
    other = [{"role": "user", "content": "something else"}]
    made = post(http, "/v1/chat/completions/batch", messages=[HI, other], max_tokens=5, seed=2)
    assert [choice["index"] for choice in made["choices"]] == [0, 1]
    alone = post(http, "/v1/chat/completions", messages=other, max_tokens=5, seed=2)
    assert made["choices"][1]["message"] == alone["choices"][0]["message"]
    assert made["usage"]["prompt_tokens"] > alone["usage"]["prompt_tokens"]


def test_invocations_find_the_api_by_the_body(http: httpx.Client) -> None:
    assert post(http, "/invocations", messages=HI, max_tokens=1)["object"] == "chat.completion"
    assert post(http, "/invocations", prompt="hi", max_tokens=1)["object"] == "text_completion"
    streamed = http.post("/invocations", json={"messages": HI, "max_tokens": 2, "stream": True})
    assert streamed.text.endswith("data: [DONE]\n\n")
    refused = http.post("/invocations", json={"input": "hi"})
    assert refused.status_code == 400
