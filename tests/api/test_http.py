"""The real server's raw answers: headers, order of chunks, ids, metrics, disconnects, keys, shutdown."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from tests.helpers.models import tiny_gguf
from tests.helpers.servers import Server, start_server
from tests.helpers.waiting import until

from pagoda.api.protocol.chat import ChatCompletion, ChatCompletionChunk
from pagoda.api.protocol.common import ErrorResponse
from pagoda.api.protocol.completions import Completion, CompletionChunk
from pagoda.api.protocol.models import ModelList

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
HI = [{"role": "user", "content": "hi"}]
LONG = {"messages": HI, "max_tokens": 480, "ignore_eos": True, "n": 128, "temperature": 1}


@pytest.fixture(scope="module")
def http(tiny_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=tiny_server.base_url, timeout=60) as client:
        yield client


def events(response: httpx.Response) -> list[Any]:
    """The data of every event; [DONE] must be the last. Nothing else may be in the stream."""
    parts = response.text.split("\n\n")
    assert parts.pop() == ""
    assert all(part.startswith("data: ") and "\n" not in part for part in parts)
    assert parts[-1] == "data: [DONE]"
    return [json.loads(part.removeprefix("data: ")) for part in parts[:-1]]


def exact(model: type[BaseModel], content: Any) -> None:
    """`content` is what the documented type says, with no field at any depth that it does not list."""
    assert model.model_validate(content).model_dump(mode="json", exclude_unset=True) == content


def gauge(http: httpx.Client, name: str) -> float:
    text = http.get("/metrics").text
    found = re.search(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    assert found, f"{name} is not among the metrics"
    return float(found[1])


def test_health_version_models(http: httpx.Client) -> None:
    health = http.get("/health")
    assert (health.status_code, health.content) == (200, b"")
    assert re.fullmatch(r"\d+\.\d+\.\d+", http.get("/version").json()["version"])
    exact(ModelList, http.get("/v1/models").json())


def test_responses_are_what_the_schema_says(http: httpx.Client) -> None:
    more = {"max_tokens": 4, "ignore_eos": True, "return_token_ids": True, "prompt_logprobs": 2}
    exact(
        ChatCompletion,
        http.post(CHAT, json={"messages": HI, "logprobs": True, "top_logprobs": 2, **more}).json(),
    )
    exact(Completion, http.post(TEXT, json={"prompt": "hi", "logprobs": 2, **more}).json())
    stream = {"max_tokens": 4, "ignore_eos": True, "return_token_ids": True, "stream": True}
    stream["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
    for chunk in events(
        http.post(CHAT, json={"messages": HI, "logprobs": True, "top_logprobs": 2, **stream})
    ):
        exact(ChatCompletionChunk, chunk)
    for chunk in events(http.post(TEXT, json={"prompt": "hi", "logprobs": 2, **stream})):
        exact(CompletionChunk, chunk)
    exact(ErrorResponse, http.post(CHAT, json={}).json())


def test_the_order_of_a_stream(http: httpx.Client) -> None:
    body = {"messages": HI, "max_tokens": 6, "ignore_eos": True, "stream": True, "seed": 1}
    response = http.post(CHAT, json={**body, "stream_options": {"include_usage": True}})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    chunks = events(response)
    first, *texts, last, usage = chunks
    head = {key: first[key] for key in ("id", "object", "created", "model")}
    assert all({key: chunk[key] for key in head} == head for chunk in chunks)
    assert first["choices"] == [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
    ]
    assert all(chunk["choices"][0]["delta"]["content"] for chunk in texts)
    assert last["choices"][0]["finish_reason"] == "length"
    assert last["choices"][0]["stop_reason"] is None
    assert last["system_fingerprint"].startswith("pagoda-")
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 6
    assert set(usage["metrics"]) == {
        "time_to_first_token",
        "generation_time",
        "queue_time",
        "tokens_per_second",
    }
    assert "usage" not in first


def test_a_stream_without_usage(http: httpx.Client) -> None:
    body = {"messages": HI, "max_tokens": 3, "ignore_eos": True, "stream": True}
    chunks = events(http.post(CHAT, json=body))
    assert all(chunk["choices"] for chunk in chunks)
    assert all("usage" not in chunk for chunk in chunks)


def test_an_error_before_the_first_token_is_no_stream(http: httpx.Client) -> None:
    response = http.post(CHAT, json={"messages": HI, "max_tokens": 512, "stream": True})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "input_tokens"


def test_repeated_prompts_come_from_the_cache(http: httpx.Client) -> None:
    body = {"prompt": "a story that is long enough to fill blocks of the cache " * 3, "max_tokens": 1}
    first = http.post(TEXT, json=body).json()["usage"]
    second = http.post(TEXT, json=body).json()["usage"]
    assert second["prompt_tokens_details"]["cached_tokens"] > 0
    assert first["prompt_tokens"] == second["prompt_tokens"]
    assert gauge(http, "vllm:prefix_cache_hits_total") > 0


@pytest.mark.parametrize(("path", "prefix"), [(CHAT, "chatcmpl"), (TEXT, "cmpl")])
def test_the_clients_id_becomes_part_of_the_answers(http: httpx.Client, path: str, prefix: str) -> None:
    body = {"messages": HI, "prompt": "hi", "max_tokens": 1}
    named = http.post(path, json=body, headers={"X-Request-Id": "abc-1"}).json()
    assert named["id"] == f"{prefix}-abc-1"
    assert http.post(path, json={**body, "request_id": "r2"}).json()["id"] == f"{prefix}-r2"
    assert http.post(path, json=body).json()["id"] != http.post(path, json=body).json()["id"]


def test_metrics_count_what_was_done(http: httpx.Client) -> None:
    def counts() -> tuple[float, float, float]:
        return (
            gauge(http, "vllm:generation_tokens_total"),
            gauge(http, "vllm:time_to_first_token_seconds_count"),
            gauge(http, "vllm:e2e_request_latency_seconds_count"),
        )

    before = counts()
    http.post(CHAT, json={"messages": HI, "max_tokens": 9, "ignore_eos": True})
    assert until(lambda: counts()[0] == before[0] + 9)
    assert counts() == (before[0] + 9, before[1] + 1, before[2] + 1)
    text = http.get("/metrics").text
    assert re.search(
        r'vllm:request_success_total{engine="0",finished_reason="length",model_name="test-model"} [1-9]', text
    )
    assert 'vllm:cache_config_info{block_size="32"' in text


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", [CHAT, TEXT])
def test_clients_that_go_away_free_their_requests(
    http: httpx.Client, tiny_server: Server, path: str, stream: bool
) -> None:
    host, port = tiny_server.base_url.removeprefix("http://").split(":")
    body = json.dumps({**LONG, "prompt": ["hi", "ho"], "stream": stream}).encode()
    head = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    request = "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body
    before = gauge(http, "vllm:generation_tokens_total")
    connections = [socket.create_connection((host, int(port))) for _ in range(8)]
    for connection in connections:
        connection.sendall(request)
    assert until(lambda: gauge(http, "vllm:num_requests_running") > 0)
    if stream:
        assert connections[0].recv(100).startswith(b"HTTP/1.1 200")
    for connection in connections:
        connection.close()
    assert until(lambda: gauge(http, "vllm:num_requests_running") == 0)
    assert gauge(http, "vllm:num_requests_waiting") == 0
    done = gauge(http, "vllm:generation_tokens_total") - before
    assert done < len(connections) * 128 * 480  # given up, not finished


def test_browsers_may_ask_from_other_pages(http: httpx.Client) -> None:
    headers = {
        "Origin": "http://elsewhere.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    response = http.options(CHAT, headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert "x-stainless-lang" in response.headers["access-control-allow-headers"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("guarded")
    server = start_server(
        tiny_gguf(folder / "tiny.gguf"), folder, "--api-key", "first", "--api-key", "second"
    )
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Basic first"}, 401),
        ({"x-api-key": "wrong"}, 401),
        ({"Authorization": "Bearer first"}, 200),
        ({"Authorization": "bearer second"}, 200),
        ({"x-api-key": "second"}, 200),
    ],
)
def test_keys_guard_the_api(guarded: Server, headers: dict[str, str], status: int) -> None:
    response = httpx.get(f"{guarded.base_url}/v1/models", headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.json() == {"error": "Unauthorized"}


def test_what_needs_no_key(guarded: Server) -> None:
    for path in ("/health", "/version", "/metrics", "/docs", "/openapi.json"):
        assert httpx.get(guarded.base_url + path).status_code == 200, path
    assert httpx.get(f"{guarded.base_url}/").status_code == 404, "an API alone has no page"
    assert httpx.options(f"{guarded.base_url}/v1/models").status_code == 405
    assert httpx.get(f"{guarded.base_url}//v1/models").status_code != 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_streams_get_their_end_at_shutdown(tmp_path: Path, number: signal.Signals) -> None:
    server = start_server(tiny_gguf(tmp_path / "tiny.gguf"), tmp_path)
    with httpx.stream("POST", server.base_url + CHAT, json={**LONG, "stream": True}, timeout=30) as response:
        lines = response.iter_lines()
        assert next(lines).startswith("data: ")
        server.process.send_signal(number)
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert json.loads(rest[-2].removeprefix("data: "))["error"]["code"] == 503
    assert server.process.wait(20) == 0
    assert "Traceback" not in server.output()


def test_a_port_in_use_is_one_line(tiny_server: Server, tmp_path: Path) -> None:
    port = tiny_server.base_url.rsplit(":", 1)[1]
    model = tiny_gguf(tmp_path / "tiny.gguf")
    with pytest.raises(RuntimeError, match=f"port {port} on 127.0.0.1 is in use") as caught:
        start_server(model, tmp_path, "--port", port)
    assert "Traceback" not in str(caught.value)


def test_a_stream_outlives_its_engine(tmp_path: Path) -> None:
    server = start_server(tiny_gguf(tmp_path / "tiny.gguf"), tmp_path)
    body = {"messages": HI, "max_tokens": 480, "ignore_eos": True, "n": 32, "seed": 3, "stream": True}

    def texts(response: httpx.Response, lines: Iterator[str]) -> list[str]:
        found = [""] * 32
        for line in lines:
            if not line or line == "data: [DONE]":
                continue
            for choice in json.loads(line.removeprefix("data: "))["choices"]:
                found[choice["index"]] += choice["delta"].get("content", "")
        return found

    try:
        with httpx.Client(base_url=server.base_url, timeout=60) as http:
            with http.stream("POST", CHAT, json=body) as response:
                undisturbed = texts(response, response.iter_lines())
            with http.stream("POST", CHAT, json=body) as response:
                lines = response.iter_lines()
                first = next(lines)
                os.kill(server.engine_pid(), signal.SIGKILL)
                disturbed = texts(response, itertools.chain([first], lines))
            assert disturbed == undisturbed
            assert until(lambda: gauge(http, "pagoda:engine_restarts_total") == 1)
            assert until(lambda: http.get("/health").status_code == 200)
    finally:
        server.stop()
