"""Personal keys on /v1: what their owners may use, and the record of what they used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.helpers.models import tiny_gguf
from tests.helpers.servers import start_server
from tests.helpers.waiting import until

ADMIN = {"name": "Ada", "email": "ada@example.org", "password": "correct horse battery"}
GRACE = {"name": "Grace", "email": "grace@example.org", "password": "correct horse battery"}
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("api_usage")
    started = start_server(tiny_gguf(folder / "tiny.gguf"), folder, workspace=True)
    yield started.base_url
    started.stop()


@pytest.fixture(scope="module")
def ada(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60) as client:
        client.post("/api/setup", json=ADMIN).raise_for_status()
        yield client


@pytest.fixture(scope="module")
def grace(url: str, ada: httpx.Client) -> Iterator[httpx.Client]:
    """A user's program: it has her key alone."""
    ada.post("/api/admin/users", json={**GRACE, "role": "user"}).raise_for_status()
    who = {"email": GRACE["email"], "password": GRACE["password"]}
    with httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}) as page:
        page.post("/api/auth/login", json=who).raise_for_status()
        page.post("/api/me/password", json={"current": who["password"], "new": "another horse battery"})
        key = page.post("/api/me/keys", json={"name": "program"}).raise_for_status().json()["key"]
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        yield client


def model_of(client: httpx.Client) -> str:
    return str(client.get("/v1/models").json()["data"][0]["id"])


def test_what_a_key_uses_is_counted_for_its_owner(ada: httpx.Client, grace: httpx.Client) -> None:
    short = {"max_tokens": 5, "ignore_eos": True}
    chat = grace.post("/v1/chat/completions", json={"messages": HELLO, **short}).raise_for_status()
    text = grace.post("/v1/completions", json={"prompt": "Hello", **short}).raise_for_status()
    streamed = {"messages": HELLO, "stream": True, "stream_options": {"include_usage": True}, **short}
    assert grace.post("/v1/chat/completions", json=streamed).text.endswith("data: [DONE]\n\n")
    responded = {"input": "Hello", "max_output_tokens": 16}
    response = grace.post("/v1/responses", json=responded).raise_for_status().json()
    nobody = httpx.post(
        f"{grace.base_url}/v1/chat/completions", json={"messages": HELLO, **short}, timeout=60
    )
    assert nobody.status_code == 200

    def hers() -> dict[str, Any]:
        rows = ada.get("/api/admin/usage", params={"by": "user", "since": 0}).json()["rows"]
        return next((row for row in rows if row["email"] == GRACE["email"]), {"answers": 0})

    assert until(lambda: hers()["answers"] == 4)  # written down after the answer has been sent
    row = hers()
    usages = [chat.json()["usage"], text.json()["usage"], chat.json()["usage"]]
    told = sum(usage["completion_tokens"] for usage in usages) + response["usage"]["output_tokens"]
    asked = sum(usage["prompt_tokens"] for usage in usages) + response["usage"]["input_tokens"]
    assert (row["completion_tokens"], row["prompt_tokens"]) == (told, asked)
    sources = ada.get("/api/admin/usage", params={"by": "source", "since": 0}).json()["rows"]
    assert [row["key"] for row in sources] == ["api"]


def test_a_model_that_its_owner_may_not_see_is_not_there(ada: httpx.Client, grace: httpx.Client) -> None:
    model = model_of(ada)
    ada.patch(f"/api/admin/models/{model}", json={"visibility": "granted"}).raise_for_status()
    try:
        for path, body in (
            ("/v1/chat/completions", {"messages": HELLO}),
            ("/v1/completions", {"prompt": "Hello"}),
            ("/v1/messages", {"model": "claude", "max_tokens": 5, "messages": HELLO}),
            ("/v1/responses", {"input": "Hello"}),
            ("/inference/v1/generate", {"token_ids": [1], "sampling_params": {"max_tokens": 2}}),
        ):
            refused = grace.post(path, json={"max_tokens": 5, **body})
            assert refused.status_code == 404, path
            assert "does not exist" in refused.text
        key = ada.post("/api/me/keys", json={"name": "own"}).json()["key"]
        asked = {"messages": HELLO, "max_tokens": 5}
        mine = ada.post("/v1/chat/completions", json=asked, headers={"Authorization": f"Bearer {key}"})
        assert mine.status_code == 200  # administrators see all
    finally:
        ada.patch(f"/api/admin/models/{model}", json={"visibility": "everyone"}).raise_for_status()
    assert grace.post("/v1/chat/completions", json={"messages": HELLO, "max_tokens": 5}).status_code == 200
