"""A real server with several models: loaded on demand, adapters among them, and the routes around them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tests.helpers.models import (
    Array,
    encode,
    tiny_folder,
    tiny_gguf,
    tiny_weights,
    write_safetensors,
    write_safetensors_file,
)
from tests.helpers.servers import Server, start_server

Q = "model.layers.1.self_attn.q_proj"


def matrices(size: float) -> list[Array]:
    """A (2, 64) and B (64, 2) of an adapter for Q."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(np.float32) * np.float32(size) for shape in ((2, 64), (64, 2))]


def merged(folder: Path) -> Path:
    """The base with the adapter of size 1 in its weights, made by NumPy alone."""
    made = tiny_folder(folder)
    weights = tiny_weights()
    a, b = matrices(1.0)
    base = np.frombuffer(encode(weights[Q + ".weight"], "bfloat16"), "<u2").astype(np.uint32) << 16
    weights[Q + ".weight"] = base.view(np.float32).reshape(64, 64) + np.float32(2) * (b @ a)  # alpha / rank
    write_safetensors(made, weights)
    return made


def adapter(folder: Path, size: float = 1.0) -> Path:
    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    a, b = matrices(size)
    tensors = {f"base_model.model.{Q}.lora_A.weight": a, f"base_model.model.{Q}.lora_B.weight": b}
    file = folder / "adapter_model.safetensors"
    write_safetensors_file(file, {name: ("float32", values) for name, values in tensors.items()})
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("many")
    base = tiny_folder(folder / "base")
    other = tiny_gguf(folder / "other.gguf", "qwen3", seed=1)
    broken = tiny_folder(folder / "broken")
    (broken / "tokenizer.json").write_text("{}")
    arguments = ["--model", f"other={other}", "--model", f"broken={broken}", "--max-loaded-models", "2"]
    arguments += ["--model", f"merged={merged(folder / 'merged')}"]
    arguments += ["--enable-lora", "--lora-modules", f"tuned={adapter(folder / 'tuned')}"]
    adapter(folder / "later", 2.0)
    environment = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1", "VLLM_SERVER_DEV_MODE": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        running = start_server(base, folder, *arguments, name="base")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, timeout=60) as client:
        yield client


def answer(http: httpx.Client, model: str) -> dict[str, Any]:
    body = {"model": model, "prompt": "once upon", "max_tokens": 8, "temperature": 0, "logprobs": 3}
    response = http.post("/v1/completions", json={**body, "ignore_eos": True, "return_token_ids": True})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    assert found["model"] == model
    return found


def tokens(http: httpx.Client, model: str) -> list[int]:
    found: list[int] = answer(http, model)["choices"][0]["token_ids"]
    return found


def cards(http: httpx.Client) -> dict[str, Any]:
    return {card["id"]: card for card in http.get("/v1/models").json()["data"]}


def test_all_models_are_listed_with_their_contexts_before_they_are_loaded(http: httpx.Client) -> None:
    listed = cards(http)
    assert list(listed)[:5] == ["base", "other", "broken", "merged", "tuned"]
    assert listed["base"]["status"] == "loaded"
    assert {card["max_model_len"] for card in listed.values()} == {512}
    assert listed["tuned"]["parent"] == "base"
    assert listed["tuned"]["root"].endswith("/tuned")
    assert http.get("/v1/models/other").json()["root"].endswith("/other.gguf")


def test_each_answers_by_its_own_weights_and_only_two_stay(http: httpx.Client, server: Server) -> None:
    said = {name: tokens(http, name) for name in ("base", "other", "tuned")}
    assert len({tuple(ids) for ids in said.values()}) == 3
    states = {name: card["status"] for name, card in cards(http).items()}
    assert sorted(states.values()).count("loaded") == 2
    assert states["tuned"] == "loaded"
    assert tokens(http, "base") == said["base"]
    text = http.get("/metrics").text
    for name in said:
        assert f'vllm:generation_tokens_total{{engine="0",model_name="{name}"}}' in text
    assert 'vllm:lora_requests_info{engine="0",max_lora="1",model_name="base"' in text


def test_an_adapter_says_what_its_merged_weights_say(http: httpx.Client) -> None:
    tuned, merged = answer(http, "tuned"), answer(http, "merged")
    for name in ("token_ids", "logprobs"):
        assert tuned["choices"][0][name] == merged["choices"][0][name]


def test_a_model_that_cannot_be_loaded_harms_no_other(http: httpx.Client) -> None:
    response = http.post("/v1/completions", json={"model": "broken", "prompt": "x"})
    assert response.status_code == 503
    assert "`broken` cannot be loaded" in response.json()["error"]["message"]
    assert "tokenizer.json" in response.json()["error"]["message"]
    assert answer(http, "base")
    assert http.get("/health").status_code == 200


def test_an_unknown_model_is_404(http: httpx.Client) -> None:
    response = http.post("/v1/chat/completions", json={"model": "x", "messages": []})
    assert response.status_code == 404
    assert response.json()["error"]["message"] == "The model `x` does not exist."


def test_adapters_come_and_go(http: httpx.Client, server: Server) -> None:
    folder = server.log.parent / "later"
    body = {"lora_name": "later", "lora_path": str(folder)}
    added = http.post("/v1/load_lora_adapter", json=body)
    assert (added.status_code, added.text) == (200, "Success: LoRA adapter 'later' added successfully.")
    assert added.headers["content-type"].startswith("text/plain")
    assert cards(http)["later"]["parent"] == "base"
    again = http.post("/v1/load_lora_adapter", json=body)
    assert again.status_code == 400
    assert "The lora adapter 'later' has already been loaded." in again.json()["error"]["message"]
    first = tokens(http, "later")
    assert first != tokens(http, "base")
    in_place = {"lora_name": "later", "lora_path": str(folder.parent / "tuned"), "load_inplace": True}
    assert http.post("/v1/load_lora_adapter", json=in_place).status_code == 200
    assert tokens(http, "later") == tokens(http, "tuned")
    removed = http.post("/v1/unload_lora_adapter", json={"lora_name": "later"})
    assert (removed.status_code, removed.text) == (200, "Success: LoRA adapter 'later' removed successfully.")
    gone = http.post("/v1/unload_lora_adapter", json={"lora_name": "later"})
    assert gone.status_code == 404
    assert gone.json()["error"]["message"] == "The lora adapter 'later' cannot be found."
    assert "later" not in cards(http)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"lora_name": "a"}, 400, "Both 'lora_name' and 'lora_path' must be provided."),
        ({"lora_name": "a", "lora_path": "/nothing/here"}, 404, "No adapter found for /nothing/here"),
        ({"lora_name": "base", "lora_path": "/nothing"}, 400, "already been loaded"),
        ({"lora_name": "a", "lora_path": "/x", "base_model_name": "x"}, 404, "`x` does not exist"),
        ({"lora_name": 3}, 400, "lora_name"),
    ],
)
def test_adapters_that_cannot_be_had(http: httpx.Client, body: Any, status: int, told: str) -> None:
    response = http.post("/v1/load_lora_adapter", json=body)
    assert response.status_code == status
    assert told in response.json()["error"]["message"]


def test_sleeping_frees_the_engines_and_waking_brings_them_back(http: httpx.Client, server: Server) -> None:
    before = tokens(http, "base")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    assert http.get("/is_sleeping").json() == {"is_sleeping": False}
    assert http.post("/sleep?level=1").status_code == 200
    assert http.get("/is_sleeping").json() == {"is_sleeping": True}
    assert children.read_text().split() == []
    asleep = http.post("/v1/completions", json={"prompt": "x"})
    assert asleep.status_code == 503
    assert "sleeps" in asleep.json()["error"]["message"]
    assert 'sleep_state="weights_offloaded"} 1.0' in http.get("/metrics").text
    assert http.post("/wake_up").status_code == 200
    assert http.get("/is_sleeping").json() == {"is_sleeping": False}
    assert tokens(http, "base") == before
    assert http.post("/sleep?level=7").status_code == 400


def test_what_the_server_was_told(http: httpx.Client) -> None:
    as_json = http.get("/server_info?config_format=json").json()
    assert as_json["vllm_config"]["models"]["tuned"]["lora"].endswith("/tuned")
    assert "base" in {status["name"] for status in as_json["models"]}
    assert isinstance(http.get("/server_info").json()["vllm_config"], str)
    for path in ("/reset_prefix_cache", "/reset_mm_cache"):
        assert http.post(path).status_code == 200
