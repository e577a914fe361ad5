"""Responses when the server ends, comes again, or cannot keep them."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from tests.helpers.scripted import scripted_model, scripted_server

from pagoda.execute.scripted import Reply


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    endless = Reply(when="for ever", text="on and on and ", repeat=True)
    return scripted_model(tmp_path_factory.mktemp("restart") / "model", [endless], default="Hello there.")


def test_responses_outlive_the_server(model: Path, tmp_path: Path) -> None:
    """What was made is there after a restart, what was being made is failed; a stream says why it ends."""
    body = {"input": "for ever", "background": True, "stream": True}
    with scripted_server(model, tmp_path) as server:
        made = httpx.post(f"{server.base_url}/v1/responses", json={"input": "hi"}).json()
        running = httpx.post(f"{server.base_url}/v1/responses", json={**body, "stream": False}).json()
        with httpx.stream(
            "POST", f"{server.base_url}/v1/responses", json={**body, "background": False}, timeout=60
        ) as answer:
            lines = answer.iter_lines()
            while "output_text.delta" not in next(lines):
                pass
            server.stop()
            left = [line for line in lines if line.startswith("data: ")]
        assert json.loads(left[-1].removeprefix("data: "))["response"]["status"] == "failed"
    with scripted_server(model, tmp_path) as server:
        for response, status in ((made, "completed"), (running, "failed")):
            found = httpx.get(f"{server.base_url}/v1/responses/{response['id']}").json()
            assert found["status"] == status
        assert found["error"]["code"] == "server_error"


def test_answers_without_a_store_say_that_they_are_not_kept(model: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / "responses.db").mkdir(parents=True)  # where the file should be
    with scripted_server(model, tmp_path) as server:
        url = f"{server.base_url}/v1/responses"
        made = httpx.post(url, json={"input": "hi"})
        assert made.status_code == 200
        assert made.json()["store"] is False
        streamed = httpx.post(url, json={"input": "hi", "stream": True}).text
        last = json.loads(streamed.strip().splitlines()[-1].removeprefix("data: "))
        assert (last["type"], last["response"]["store"]) == ("response.completed", False)
        for answer in (httpx.post(url, json={"input": "hi", "background": True}), httpx.get(f"{url}/resp_1")):
            assert answer.status_code == 500
            assert "store" in answer.json()["error"]["message"]
        assert httpx.post(url, json={"input": "hi", "store": False}).json()["status"] == "completed"
