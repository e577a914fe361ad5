"""Routes and layers around the models' own: states, load, ids, logs, metrics; in this process, with engines
that are still, and one real server for what only a socket shows.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from tests.helpers.engines import StillEngine
from tests.helpers.models import tiny_folder, tiny_gguf
from tests.helpers.servers import Server, start_server

from pagoda.api.app import create_app
from pagoda.api.model_pool import ModelPool
from pagoda.api.served_model import ServedModel
from pagoda.api.settings import ServerSettings
from pagoda.api.stats_log import log_throughput, throughput_line
from pagoda.engine.config import EngineConfig, EngineStats
from pagoda.engine.forecast import Forecast

DATA = Path(__file__).parent / "data"  #: a certificate for 127.0.0.1 that nobody trusts, for tests alone
OPEN = ("/health", "/ping", "/version", "/load", "/metrics", "/metrics/", "/docs", "/redoc", "/openapi.json")


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[tuple[httpx.AsyncClient, ModelPool, FastAPI]]:
    """A client of an app with the models "m" (loaded) and "n"."""
    made = ServerSettings(served_model_names=("m",), **settings)
    models = [ServedModel((name,), EngineConfig(model_path=f"/{name}"), made) for name in "mn"]
    models[1].forecast = Forecast(256, 0)
    pool = ModelPool(models, launch=StillEngine)
    await pool.start()
    app = create_app(pool, made)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client, pool, app
    await pool.shutdown()


def engine(pool: ModelPool, name: str) -> StillEngine:
    llm = pool.find(name).llm
    assert isinstance(llm, StillEngine)
    return llm


async def test_health_and_ping_follow_the_default_model() -> None:
    async with serving() as (client, pool, _):
        calls = [("GET", "/health"), ("GET", "/ping"), ("POST", "/ping")]
        for method, path in calls:
            response = await client.request(method, path)
            assert (response.status_code, response.content) == (200, b"")
        (await pool.lease("n")).release()
        engine(pool, "n").state = "dead"
        assert (await client.get("/health")).status_code == 200
        await pool.unload("m")  # the next request loads it
        assert (await client.get("/health")).status_code == 200
        (await pool.lease("m")).release()
        engine(pool, "m").state = "dead"
        for method, path in calls:
            response = await client.request(method, path)
            assert (response.status_code, response.json()["status"]) == (503, "dead")


async def test_a_key_guards_the_models_and_nothing_else() -> None:
    async with serving(api_keys=("k",), dev_mode=True, allow_lora_updating=True) as (client, _, _):
        for path in (*OPEN, "/is_sleeping"):
            assert (await client.get(path)).status_code == 200, path
        for method, path in (("GET", "/v1/models"), ("POST", "/v1/load_lora_adapter")):
            refused = await client.request(method, path)
            assert (refused.status_code, refused.json()) == (401, {"error": "Unauthorized"})
        for headers in ({"Authorization": "Bearer k"}, {"x-api-key": "k"}):
            assert (await client.get("/v1/models", headers=headers)).status_code == 200


async def test_what_is_not_asked_for_is_not_served() -> None:
    async with serving(docs=False) as (client, _, _):
        for path in ("/docs", "/redoc", "/openapi.json", "/tokenizer_info", "/is_sleeping", "/server_info"):
            assert (await client.get(path)).status_code == 404, path
        for path in ("/sleep", "/wake_up", "/v1/load_lora_adapter", "/v1/unload_lora_adapter"):
            assert (await client.post(path)).status_code in (404, 405), path


async def test_load_counts_requests_for_models_in_flight() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    async with serving() as (client, _, app):

        @app.post("/v1/wait")
        async def wait() -> None:
            entered.set()
            await leave.wait()

        assert (await client.get("/load")).json() == {"server_load": 0}
        waiting = asyncio.create_task(client.post("/v1/wait"))
        await entered.wait()
        assert (await client.get("/load")).json() == {"server_load": 1}
        leave.set()
        await waiting
        assert (await client.get("/load")).json() == {"server_load": 0}


async def test_requests_count_by_route_and_status() -> None:
    async with serving() as (client, _, app):

        @app.get("/broken/{number}")
        async def broken(number: int) -> None:
            raise ZeroDivisionError

        for number in range(3):
            await client.get(f"/broken/{number}")
        await client.get("/v1/models")
        await client.get("/nowhere")
        for method in ("ONE", "TWO"):
            await client.request(method, "/v1/models")
        families = {
            family.name: family
            for family in text_string_to_metric_families((await client.get("/metrics")).text)
        }
    counts = {
        (sample.labels["handler"], sample.labels["status"]): sample.value
        for sample in families["http_requests"].samples
        if sample.name.endswith("_total")
    }
    assert counts["/broken/{number}", "5xx"] == 3
    assert counts["/v1/models", "2xx"] == 1
    assert counts["none", "4xx"] == 1
    methods = {sample.labels["method"] for sample in families["http_requests"].samples}
    assert methods == {"GET", "OTHER"}
    durations = {
        sample.labels["handler"]: sample.value
        for sample in families["http_request_duration_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert durations["/broken/{number}"] == 3


async def test_the_names_that_dashboards_look_for() -> None:
    async with serving() as (client, pool, _):
        (await pool.lease("n")).release()
        text = (await client.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    gauges = {"num_requests_running", "num_requests_waiting", "num_requests_waiting_by_reason"}
    gauges |= {"kv_cache_usage_perc", "gpu_cache_usage_perc", "engine_sleep_state", "cache_config_info"}
    counters = {"prompt_tokens", "generation_tokens", "num_preemptions", "request_success"}
    counters |= {
        "prefix_cache_queries",
        "prefix_cache_hits",
        "prompt_tokens_cached",
        "prompt_tokens_by_source",
    }
    histograms = {
        "time_to_first_token_seconds",
        "inter_token_latency_seconds",
        "time_per_output_token_seconds",
        "request_time_per_output_token_seconds",
        "e2e_request_latency_seconds",
        "request_queue_time_seconds",
        "request_prefill_time_seconds",
        "request_decode_time_seconds",
        "request_inference_time_seconds",
        "request_prompt_tokens",
        "request_generation_tokens",
        "request_max_num_generation_tokens",
        "request_params_n",
        "request_params_max_tokens",
        "iteration_tokens_total",
        "request_prefill_kv_computed_tokens",
    }
    for names, kind in ((gauges, "gauge"), (counters, "counter"), (histograms, "histogram")):
        for name in names:
            family = families[f"vllm:{name}"]
            assert family.type == kind
            models = {sample.labels["model_name"] for sample in family.samples}
            assert models == {"m", "n"}, name
            assert {sample.labels["engine"] for sample in family.samples} == {"0"}
            if kind == "histogram":
                endings = {sample.name.removeprefix(f"vllm:{name}") for sample in family.samples}
                assert endings == {"_bucket", "_count", "_sum"}
                assert "+Inf" in {sample.labels.get("le") for sample in family.samples}
    assert "process_resident_memory_bytes" in families
    assert text.count("# TYPE vllm:num_requests_running ") == 1


async def test_which_models_are_in_memory() -> None:
    async with serving() as (client, _, _):
        text = (await client.get("/metrics")).text
    assert 'pagoda:model_loaded{engine="0",model_name="m"} 1.0' in text
    assert 'pagoda:model_loaded{engine="0",model_name="n"} 0.0' in text
    assert 'pagoda:model_memory_bytes{engine="0",model_name="n"} 0.0' in text


async def test_steps_are_counted_by_the_tokens_they_bring() -> None:
    async with serving() as (client, pool, _):
        observe = engine(pool, "m").observed
        observe(EngineStats(), EngineStats(prompt_tokens=5, generation_tokens=1, steps=1))
        observe(
            EngineStats(prompt_tokens=5, generation_tokens=1, steps=1),
            EngineStats(prompt_tokens=5, generation_tokens=4, steps=2),
        )
        observe(EngineStats(steps=2), EngineStats(steps=2))  # a report without a step
        text = (await client.get("/metrics")).text
    assert 'vllm:iteration_tokens_total_count{engine="0",model_name="m"} 2.0' in text
    assert 'vllm:iteration_tokens_total_sum{engine="0",model_name="m"} 9.0' in text


async def test_request_ids_come_back_where_that_is_wanted() -> None:
    async with serving(request_id_headers=True) as (client, _, _):
        given = await client.get("/version", headers={"X-Request-Id": "abc"})
        made = [(await client.get("/version")).headers["x-request-id"] for _ in range(2)]
    assert given.headers["x-request-id"] == "abc"
    assert made[0] != made[1]
    async with serving() as (client, _, _):
        assert "x-request-id" not in (await client.get("/version", headers={"X-Request-Id": "abc"})).headers


async def test_the_access_log_leaves_out_what_it_is_told_to(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pagoda.access")
    async with serving(access_log=True, quiet_paths=("/health",)) as (client, _, _):
        await client.get("/health")
        await client.get("/v1/models?x=1")
        await client.get("/no%0Awhere")
    lines = [record.getMessage() for record in caplog.records if record.name == "pagoda.access"]
    assert len(lines) == 2
    assert '"GET /v1/models?x=1 HTTP/1.1" 200' in lines[0]
    assert lines[1].endswith('"GET /no%0Awhere HTTP/1.1" 404')


async def test_cors_says_what_it_is_told() -> None:
    async with serving(
        allowed_origins=("http://ours",), allowed_methods=("GET",), allow_credentials=True
    ) as (client, _, _):
        headers = {"Origin": "http://ours", "Access-Control-Request-Method": "GET"}
        allowed = await client.options("/v1/models", headers=headers)
        headers["Access-Control-Request-Method"] = "POST"
        refused = await client.options("/v1/models", headers=headers)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-credentials"] == "true"
    assert refused.status_code == 400


def test_the_line_about_throughput_has_the_words_that_are_looked_for() -> None:
    before = EngineStats(prompt_tokens=100, generation_tokens=50)
    after = EngineStats(
        prompt_tokens=350,
        generation_tokens=75,
        num_requests_running=3,
        num_requests_waiting=2,
        kv_cache_usage=0.125,
        prefix_cache_queries=8,
        prefix_cache_hits=2,
    )
    assert throughput_line(0, before, after, 10.0) == (
        "Engine 000: Avg prompt throughput: 25.0 tokens/s, Avg generation throughput: 2.5 tokens/s, "
        "Running: 3 reqs, Waiting: 2 reqs, GPU KV cache usage: 12.5%, Prefix cache hit rate: 25.0%"
    )


async def test_throughput_is_told_while_there_is_some(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pagoda.api.stats_log")
    async with serving() as (_, pool, _):
        telling = asyncio.create_task(log_throughput(pool, 0.001))
        await asyncio.sleep(0.01)
        assert not caplog.records
        engine(pool, "m").counters = EngineStats(generation_tokens=7, num_requests_running=1)
        while not caplog.records:
            await asyncio.sleep(0.001)
        telling.cancel()
    assert (
        caplog.records[0].getMessage().startswith("Engine 000: Avg prompt throughput: 0.0 tokens/s, Avg gen")
    )


def test_tls(tmp_path: Path) -> None:
    certificate = DATA / "test_only.crt"
    arguments = ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(DATA / "test_only.key")]
    server = start_server(tiny_gguf(tmp_path / "tiny.gguf"), tmp_path, *arguments)
    try:
        context = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(base_url=server.base_url, verify=context, timeout=60) as client:
            body = {"prompt": "x", "max_tokens": 5, "ignore_eos": True, "stream": True}
            lines = client.post("/v1/completions", json=body).text.split("\n\n")
            assert lines[-2] == "data: [DONE]"
            assert client.get("/v1/models").json()["data"][0]["id"] == server.model
    finally:
        assert server.stop() == 0


def test_running_requests_may_end_when_the_server_is_told_to_stop(tmp_path: Path) -> None:
    server = start_server(tiny_gguf(tmp_path / "tiny.gguf"), tmp_path, "--shutdown-timeout", "60")
    body = {"prompt": "x", "max_tokens": 480, "ignore_eos": True, "stream": True, "n": 16}
    url = server.base_url + "/v1/completions"
    with httpx.stream("POST", url, json=body, timeout=60) as response:
        lines = response.iter_lines()
        assert next(lines).startswith("data: ")
        server.process.send_signal(signal.SIGTERM)
        rest = [line for line in lines if line]
    reasons = [json.loads(line[6:])["choices"][0]["finish_reason"] for line in rest[:-1]]
    assert reasons.count("length") == 16
    assert rest[-1] == "data: [DONE]"
    assert server.process.wait(20) == 0


def test_a_certificate_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    model = tiny_gguf(tmp_path / "tiny.gguf")
    with pytest.raises(RuntimeError, match="the certificate or its key cannot be used") as caught:
        start_server(model, tmp_path, "--ssl-certfile", str(model), "--ssl-keyfile", str(model))
    assert "Traceback" not in str(caught.value)


def test_a_unix_socket(tmp_path: Path) -> None:
    place = tmp_path / "s"
    server = start_server(tiny_gguf(tmp_path / "tiny.gguf"), tmp_path, "--uds", str(place))
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(place)), timeout=60) as client:
            body = {"prompt": "x", "max_tokens": 5, "ignore_eos": True}
            answer = client.post("http://pagoda/v1/completions", json=body).json()
            assert answer["usage"]["completion_tokens"] == 5
    finally:
        assert server.stop() == 0
    assert not place.exists()


@pytest.fixture(scope="module")
def loud_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("loud")
    arguments = ["--enable-log-requests", "--enable-log-outputs", "--max-log-len", "7"]
    arguments += ["--enable-tokenizer-info-endpoint", "--enable-request-id-headers"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_LOG_STATS_INTERVAL", "0.05")
        server = start_server(tiny_gguf(folder / "tiny.gguf"), folder, *arguments)
    yield server
    server.stop()


@pytest.mark.parametrize("stream", [True, False])
def test_requests_and_answers_are_logged_cut(loud_server: Server, stream: bool) -> None:
    identity = f"logged-{stream}"
    body = {"prompt": "once upon a time", "max_tokens": 20, "ignore_eos": True, "stream": stream}
    response = httpx.post(
        loud_server.base_url + "/v1/completions", json=body, headers={"X-Request-Id": identity}, timeout=60
    )
    assert response.headers["x-request-id"] == identity
    log = loud_server.output()
    assert f"Received request cmpl-{identity}-0: prompt: 'once up', params: SamplingParams(" in log
    [line] = [
        line for line in log.splitlines() if f"Generated response cmpl-{identity}-0-0: output: " in line
    ]
    assert line.endswith("finish_reason: length")
    assert line[line.index("output_token_ids: ") :].count(",") == 7  # seven ids and the comma after the list


def test_throughput_is_in_the_log(loud_server: Server) -> None:
    body = {"prompt": "once upon a time", "max_tokens": 400, "ignore_eos": True}
    deadline = time.monotonic() + 20
    while "Engine 000: Avg prompt throughput: " not in loud_server.output():
        httpx.post(loud_server.base_url + "/v1/completions", json=body, timeout=60)
        assert time.monotonic() < deadline


def test_what_clients_want_to_know_of_the_tokenizer(loud_server: Server, tmp_path: Path) -> None:
    info = httpx.get(loud_server.base_url + "/tokenizer_info").json()
    assert (info["bos_token"], info["eos_token"]) == ("<|im_start|>", "<|im_end|>")
    assert "im_start" in info["chat_template"]
    assert info["model_max_length"] == 512
    folder = tiny_folder(tmp_path / "model")
    assert "chat_template" in (folder / "tokenizer_config.json").read_text()
