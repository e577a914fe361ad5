"""docs/compatibility.md tells the truth about every route and every field of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.test_app import client_of, make_app
from tests.helpers.servers import Server

from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.protocol.completions import CompletionRequest

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
EFFECTS = {"works", "accepted without effect", "not supported"}

#: What vLLM's reference lists and clients send; each must be on the page.
ROUTES_OF_VLLM = """
GET /health, GET /ping, POST /ping, GET /version, GET /load, GET /metrics, GET /v1/models, POST
/tokenize, POST /detokenize, GET /tokenizer_info, GET /docs, GET /redoc, GET /openapi.json, POST
/invocations, POST /start_profile, POST /stop_profile, POST /v1/chat/completions, POST
/v1/chat/completions/batch, POST /v1/completions, POST /v1/responses, GET /v1/responses/{id}, POST
/v1/responses/{id}/cancel, POST /v1/messages, POST /v1/messages/count_tokens, POST
/v1/chat/completions/render, POST /v1/completions/render, POST /inference/v1/generate, POST
/generative_scoring, POST /v1/embeddings, POST /v2/embed, POST /pooling, POST /classify, POST
/score, POST /v1/score, POST /rerank, POST /v1/rerank, POST /v2/rerank, POST /v1/load_lora_adapter,
POST /v1/unload_lora_adapter, POST /sleep, POST /wake_up, GET /is_sleeping, POST
/reset_prefix_cache, POST /reset_mm_cache, POST /reset_encoder_cache, POST /collective_rpc, GET
/server_info, POST /pause
"""
FIELDS_OF_VLLM = """
messages model frequency_penalty presence_penalty logit_bias logprobs top_logprobs max_tokens
max_completion_tokens n response_format seed stop stream stream_options temperature top_p tools
tool_choice parallel_tool_calls reasoning_effort user use_beam_search top_k min_p repetition_penalty
length_penalty stop_token_ids include_stop_str_in_output ignore_eos min_tokens skip_special_tokens
spaces_between_special_tokens truncate_prompt_tokens truncation_side prompt_logprobs
allowed_token_ids bad_words thinking_token_budget include_reasoning logprob_token_ids
repetition_detection echo add_generation_prompt continue_final_message add_special_tokens documents
chat_template chat_template_kwargs mm_processor_kwargs media_io_kwargs structured_outputs priority
request_id return_tokens_as_token_ids return_token_ids return_prompt_text cache_salt
kv_transfer_params vllm_xargs session_id stream_interval guided_json guided_regex guided_choice
guided_grammar guided_whitespace_pattern guided_decoding_backend best_of prompt suffix prompt_embeds
"""
#: A value that asks for something, for the fields that are not served or have no effect.
VALUES: Mapping[str, Any] = {
    "guided_decoding_backend": "xgrammar",
    "stream_interval": 4,
    "store": True,
    "session_id": "s",
    "spaces_between_special_tokens": True,
    "service_tier": "auto",
    "functions": [{"name": "f", "parameters": {}}],
    "function_call": "auto",
    "suffix": "end",
    "prompt_embeds": "AAAA",
    "logits_processors": ["module.f"],
}


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading of the page."""
    text = PAGE.read_text("utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def listed_routes() -> dict[str, str]:
    return {row[0].strip("`"): row[1] for row in rows("Routes")}


def listed_fields() -> list[tuple[str, str, str]]:
    return [(row[0].strip("`"), row[1], row[2]) for row in rows("Fields of requests")]


def test_nothing_is_missing_and_every_row_says_what_it_is() -> None:
    routes = [route.strip() for route in " ".join(ROUTES_OF_VLLM.split()).split(",")]
    assert set(routes) <= set(listed_routes())
    assert set(FIELDS_OF_VLLM.split()) <= {name for name, _, _ in listed_fields()}
    assert {*listed_routes().values(), *(effect for _, _, effect in listed_fields())} == EFFECTS


async def test_routes_are_served_as_the_page_says() -> None:
    app = make_app(tokenizer_info=True, dev_mode=True, allow_lora_updating=True)
    async with client_of(app) as client:
        for route, effect in listed_routes().items():
            method, path = route.split()
            response = await client.request(method, path.replace("{id}", "x"))
            no_route = response.status_code == 404 and "Not Found" in response.text
            absent = no_route or response.status_code == 405
            assert absent == (effect == "not supported"), f"{route}: {response.status_code}"
    served = {
        method.upper() + " " + re.sub(r"{\w+}", "{id}", path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    assert served <= set(listed_routes())


@pytest.mark.parametrize(("name", "of", "effect"), listed_fields())
def test_fields_are_taken_as_the_page_says(tiny_server: Server, name: str, of: str, effect: str) -> None:
    models = {"chat": [ChatCompletionRequest], "text": [CompletionRequest]}.get(
        of, [ChatCompletionRequest, CompletionRequest]
    )
    if effect == "works":
        assert all(name in model.model_fields for model in models)
        return
    value = VALUES.get(name, {"key": "value"})
    for model in models:
        status, text = post(tiny_server, model, {name: value})
        if effect == "not supported":
            assert status == 400
            assert name in text
        else:
            assert status == 200, text


def post(server: Server, model: type, fields: Mapping[str, Any]) -> tuple[int, str]:
    chat = model is ChatCompletionRequest
    path = "/v1/chat/completions" if chat else "/v1/completions"
    asked = {"messages": [{"role": "user", "content": "a"}]} if chat else {"prompt": "a"}
    response = httpx.post(server.base_url + path, json={**asked, "max_tokens": 1, **fields})
    return response.status_code, response.text
