"""The app in this process, before and after its engine: states, keys, paths, files, documentation."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.helpers.models import tiny_folder

from pagoda.api.app import create_app
from pagoda.api.server import send_at_once
from pagoda.api.settings import ServerSettings
from pagoda.api.sse import EventStream, event
from pagoda.api.state import ServerState
from pagoda.api.web_app import web_router
from pagoda.cli.ports import bind
from pagoda.engine.async_llm import AsyncLLM, RequestFailedError
from pagoda.engine.config import EngineConfig
from pagoda.engine.supervisor import EngineSupervisor, Status


class EngineInState(AsyncLLM):
    """An engine that was never started and says that it is in a given state."""

    def __init__(self, status: Status, reason: str | None) -> None:
        config = EngineConfig(model_path="absent.gguf")
        super().__init__(config, EngineSupervisor(config))
        self._says = (status, reason)

    @property
    def status(self) -> Status:
        return self._says[0]

    @property
    def status_reason(self) -> str | None:
        return self._says[1]


def make_app(status: Status = "starting", reason: str | None = None, **settings: Any) -> FastAPI:
    return create_app(EngineInState(status, reason), ServerSettings(served_model_names=("m",), **settings))


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        ("starting", None, "the model is loading"),
        ("degraded", None, "the engine is being restarted"),
        ("dead", "killed by the kernel for memory", "killed by the kernel for memory"),
    ],
)
async def test_health_tells_the_state(status: Status, reason: str | None, told: str) -> None:
    async with client_of(make_app(status, reason)) as client:
        response = await client.get("/health")
    assert response.status_code == 503
    assert response.json() == {"status": status, "reason": told}


@pytest.mark.parametrize(
    ("status", "words"), [("starting", "still loading"), ("dead", "The engine has stopped: why")]
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_requests_are_told_to_come_again(status: Status, words: str, path: str) -> None:
    async with client_of(make_app(status, "why")) as client:
        response = await client.post(path, json={"messages": [], "prompt": "x"})
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    error = response.json()["error"]
    assert words in error["message"]
    assert error["type"] == "ServiceUnavailableError"


async def test_metrics_need_no_engine() -> None:
    async with client_of(make_app()) as client:
        text = (await client.get("/metrics")).text
    assert 'vllm:num_requests_running{engine="0",model_name="m"} 0.0' in text
    assert "cache_config_info" not in text


async def test_a_failure_of_ours_is_an_error_in_shape() -> None:
    app = make_app()

    @app.get("/v1/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    async with client_of(app) as client:
        response = await client.get("/v1/broken")
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "InternalServerError"
    assert "ZeroDivision" not in response.text


@pytest.mark.parametrize("path", ["/v1/models", "/llm/v1/models"])
async def test_a_proxy_may_strip_its_path_or_not(path: str) -> None:
    app = make_app("dead", root_path="/llm", api_keys=("key",))
    async with client_of(app) as client:
        assert (await client.get("/llm/openapi.json")).json()["servers"] == [{"url": "/llm"}]
        assert (await client.get(path)).status_code == 401
        allowed = await client.get(path, headers={"Authorization": "Bearer key"})
    assert allowed.status_code == 503  # the route itself


@pytest.mark.parametrize(
    "path", ["/models", "/llm/models", "/v1/v1/models", "/llm/v1/v1/models", "/models/m"]
)
async def test_a_base_url_may_lack_v1_or_have_it_twice(path: str) -> None:
    app = make_app("dead", root_path="/llm", api_keys=("key",))
    async with client_of(app) as client:
        assert (await client.get(path)).status_code == 401
        allowed = await client.get(path, headers={"Authorization": "Bearer key"})
        assert (await client.get("/modelsx")).status_code == 404
    assert allowed.status_code in (200, 503)  # the route itself


async def test_origins_can_be_limited() -> None:
    async with client_of(make_app(allowed_origins=("http://ours",))) as client:
        ours = await client.get("/version", headers={"Origin": "http://ours"})
        theirs = await client.get("/version", headers={"Origin": "http://theirs"})
    assert ours.headers["access-control-allow-origin"] == "http://ours"
    assert "access-control-allow-origin" not in theirs.headers


def page_app(folder: Path | None) -> FastAPI:
    app = FastAPI()
    app.include_router(web_router(folder))
    return app


@pytest.fixture
def web_dir(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><p>chat</p>", "utf-8")
    (tmp_path / "assets" / "index-abc123.js").write_text("export {}", "utf-8")
    (tmp_path / "icon.svg").write_text("<svg/>", "utf-8")
    return tmp_path


async def test_the_browser_app_is_served_with_strict_headers(web_dir: Path) -> None:
    async with client_of(page_app(web_dir)) as client:
        page = await client.get("/")
        script = await client.get("/assets/index-abc123.js")
        icon = await client.get("/icon.svg")
        again = await client.get("/", headers={"If-None-Match": page.headers["etag"]})
        head = await client.head("/")
        absent = [await client.get(path) for path in ("/assets", "/assets/", "/other", "/%2e%2e/conftest.py")]
    assert page.text == "<!doctype html><p>chat</p>"
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert icon.headers["content-type"] == "image/svg+xml"
    assert (again.status_code, again.content) == (304, b"")
    assert (head.status_code, head.content) == (200, b"")
    assert [response.status_code for response in absent] == [404] * 4


async def test_the_frame_of_the_diagrams_may_write_styles_and_nothing_else(web_dir: Path) -> None:
    (web_dir / "diagram.html").write_text("<!doctype html>", "utf-8")
    async with client_of(page_app(web_dir)) as client:
        frame = await client.get("/diagram.html")
        script = await client.get("/assets/index-abc123.js")
    policy = frame.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "sandbox allow-scripts"} <= set(policy)
    assert "frame-ancestors 'self'" in policy
    # Without an origin it may read its scripts only where they are for everybody.
    assert script.headers["access-control-allow-origin"] == "*"


async def test_without_the_browser_app_the_page_says_so() -> None:
    async with client_of(page_app(None)) as client:
        page = await client.get("/")
    assert page.status_code == 200
    assert "browser chat was not built" in page.text
    assert 'href="docs"' in page.text


async def test_the_documentation_asks_nothing_of_other_hosts() -> None:
    async with client_of(make_app()) as client:
        page = await client.get("/docs")
        parts = [page, await client.get("/docs.js"), await client.get("/docs.css")]
    assert all(part.status_code == 200 for part in parts)
    assert not any(re.search(r"(https?:)?//[a-z]", part.text.replace("http-equiv", "")) for part in parts)
    assert "<script>" not in page.text
    assert page.headers["content-security-policy"]


async def test_openapi_describes_requests_and_answers() -> None:
    async with client_of(make_app()) as client:
        document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references <= set(schemas)
    operation = document["paths"]["/v1/chat/completions"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "ChatCompletionRequest"
    )
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "ChatCompletion"
    )
    assert "messages" in schemas["ChatCompletionRequest"]["required"]
    assert {"/health", "/version", "/metrics", "/v1/models", "/v1/completions"} <= set(document["paths"])


async def streamed(app: FastAPI, events: AsyncGenerator[bytes, None]) -> httpx.Response:
    state: ServerState = app.state.server

    @app.get("/stream")
    async def stream() -> EventStream:
        return EventStream(events, state)

    async with client_of(app) as client:
        return await client.get("/stream")


@pytest.mark.parametrize("error", [RequestFailedError("the engine ran out of memory"), ValueError("a bug")])
async def test_a_failure_in_mid_stream_is_an_event(error: Exception) -> None:
    async def events() -> AsyncGenerator[bytes, None]:
        yield event({"a": 1})
        raise error

    response = await streamed(make_app(), events())
    assert response.status_code == 200
    first, failure, done, end = response.text.split("\n\n")
    assert (first, done, end) == ('data: {"a":1}', "data: [DONE]", "")
    told = json.loads(failure.removeprefix("data: "))["error"]
    assert (told["code"], told["type"]) == (500, "InternalServerError")
    assert "a bug" not in told["message"]


async def test_a_failure_before_the_first_event_is_an_ordinary_error() -> None:
    async def events() -> AsyncGenerator[bytes, None]:
        raise RequestFailedError("the engine ran out of memory")
        yield b""

    response = await streamed(make_app(), events())
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "the engine ran out of memory"


async def test_shutting_down_ends_a_stream_with_an_event() -> None:
    app = make_app()
    closed = False

    async def events() -> AsyncGenerator[bytes, None]:
        nonlocal closed
        try:
            yield event({"a": 1})
            app.state.server.draining.set()
            yield event({"b": 2})
            await never()
        finally:
            closed = True

    async def never() -> None:
        import asyncio

        await asyncio.Event().wait()

    response = await streamed(app, events())
    assert closed
    assert json.loads(response.text.split("\n\n")[-3].removeprefix("data: "))["error"]["code"] == 503
    assert response.text.endswith("data: [DONE]\n\n")


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="at least one name"):
        create_app(EngineInState("ready", None), ServerSettings())
    with pytest.raises(ValueError, match="'auto' or 'vllm'"):
        ServerSettings(served_model_names=("m",), default_sampling="other")


def test_connections_send_every_write_at_once() -> None:
    with bind("127.0.0.1", 0) as listener:
        send_at_once(listener)
        listener.setblocking(True)
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@pytest.mark.parametrize(
    ("template", "words"),
    [
        (None, "has no chat template, so it cannot be used through /v1/chat/completions"),
        ("{% for %}", "The chat template cannot be used"),
        ("{{ raise_exception('No system role here') }}", "refuses these messages: No system role here"),
    ],
)
async def test_a_model_without_a_usable_template_says_so(
    tmp_path: Path, template: str | None, words: str
) -> None:
    folder = tiny_folder(tmp_path / "model")
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({**settings, "chat_template": template}), "utf-8"
    )
    llm = AsyncLLM.launch(EngineConfig(model_path=str(folder), executor="reference"))
    try:
        await llm.wait_ready()
        async with client_of(create_app(llm, ServerSettings(served_model_names=("m",)))) as client:
            chat = await client.post(
                "/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]}
            )
            text = await client.post("/v1/completions", json={"prompt": "hi", "max_tokens": 1})
    finally:
        await llm.shutdown()
    assert chat.status_code == 400
    assert words in chat.json()["error"]["message"]
    assert text.status_code == 200
