"""Tokens in and tokens out: /inference/v1/generate, and what turns a request of the other APIs into one."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from pagoda.api.accounting import Account
from pagoda.api.body import read_body
from pagoda.api.chat_run import prepare_chat
from pagoda.api.completion_run import prepare_completion
from pagoda.api.engine_errors import released_on_failure
from pagoda.api.errors import bad_request, json_response
from pagoda.api.generation import Outputs, start
from pagoda.api.guests import admitted
from pagoda.api.logprobs import LogprobFormatter, prompt_logprobs
from pagoda.api.model_pool import Lease
from pagoda.api.openapi import documented
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.protocol.common import GenerationRequest
from pagoda.api.protocol.completions import CompletionRequest
from pagoda.api.protocol.generate import (
    GenerateRequest,
    GenerateResponse,
    RenderedRequest,
    RenderedRequests,
)
from pagoda.api.responses import response_id, whole_response
from pagoda.api.sse import DONE, EventStream, event
from pagoda.api.state import ServerState, state_of
from pagoda.api.structured import check_constraint
from pagoda.engine.outputs import CompletionOutput
from pagoda.engine.params import ParameterError, SamplingParams
from pagoda.engine.validation import check_logprobs

router = APIRouter(tags=["tokens"])


@dataclass(slots=True)
class _Run:
    request: GenerateRequest
    id: str
    outputs: Outputs
    account: Account
    lease: Lease
    formatter: LogprobFormatter | None

    def close(self) -> None:
        self.outputs.close()
        self.account.close()
        self.lease.release()


@router.post(
    "/inference/v1/generate",
    summary="Continue tokens",
    **documented(GenerateRequest, GenerateResponse),
)
async def generate(http: Request) -> Response:
    """No text on either side: the caller renders, tokenises and parses."""
    state = state_of(http)
    request = await read_body(http, GenerateRequest, state.settings.max_body_bytes)
    lease = await state.lease(request.model)
    with released_on_failure(lease):
        run = await _prepare(state, lease, http, request)
    if request.stream:
        return EventStream(_events(run), state, on_close=run.close)
    return await whole_response(http, state, _whole(run), run.close)


@router.post(
    "/v1/chat/completions/render",
    summary="A conversation as a request of /inference/v1/generate",
    **documented(ChatCompletionRequest, RenderedRequest),
)
async def render_chat(http: Request) -> Response:
    """Nothing is generated."""
    state = state_of(http)
    request = await read_body(http, ChatCompletionRequest, state.settings.max_body_bytes)
    run = await prepare_chat(state, http.headers, request)
    try:
        return json_response(_rendered(run.id, run.model, request, run.prompt_token_ids, run.params))
    finally:
        run.close(count=False)


@router.post(
    "/v1/completions/render",
    summary="Texts as requests of /inference/v1/generate",
    **documented(CompletionRequest, RenderedRequests),
)
async def render_completion(http: Request) -> Response:
    """Nothing is generated. One request for each prompt, in a list."""
    state = state_of(http)
    request = await read_body(http, CompletionRequest, state.settings.max_body_bytes)
    run = await prepare_completion(state, http.headers, request)
    try:
        return json_response(
            [
                _rendered(f"{run.id}-{number}", run.model, request, prompt.token_ids, run.params)
                for number, prompt in enumerate(run.prompts)
            ]
        )
    finally:
        run.close(count=False)


def _rendered(
    identity: str, model: str, request: GenerationRequest, token_ids: list[int], params: SamplingParams
) -> dict[str, Any]:
    options = request.stream_options
    return {
        "request_id": identity,
        "token_ids": token_ids,
        "features": None,
        "sampling_params": msgspec.to_builtins(params),
        "model": model,
        "stream": bool(request.stream),
        "stream_options": None if options is None else options.model_dump(),
        "cache_salt": request.cache_salt,
        "priority": request.priority or 0,
        "kv_transfer_params": None,
    }


async def _prepare(state: ServerState, lease: Lease, http: Request, request: GenerateRequest) -> _Run:
    llm, settings = lease.llm, state.settings
    if llm.info.runner == "pooling":
        raise bad_request(f"The model `{lease.name}` does not generate text", "model")
    guest = await admitted(state, http.headers, request.model)
    params = _params(request)
    check_logprobs(params, settings.max_logprobs, vocab_size=llm.info.vocab_size)
    if params.structured_outputs is not None:
        await check_constraint(state, params.structured_outputs, "sampling_params")
    named = ("priority", "cache_salt", "user", "request_id")
    options = GenerationRequest.model_validate({name: getattr(request, name) for name in named})
    identity = response_id("generate", http.headers, options)
    outputs = start(llm, [request.token_ids], params, options, identity, stream=bool(request.stream))
    formatter = None
    if params.wants_logprobs:
        formatter = LogprobFormatter(llm.tokenizer, params.logprobs or 0, listed=params.logprob_token_ids)
    account = Account(lease.model.metrics, [request.token_ids], params, model=lease.model.name, guest=guest)
    return _Run(request, identity, outputs, account, lease, formatter)


def _params(request: GenerateRequest) -> SamplingParams:
    known = {name: value for name, value in request.sampling_params.items() if value is not None}
    known = {name: known[name] for name in SamplingParams.__struct_fields__ if name in known}
    try:
        return msgspec.convert(known, SamplingParams)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, ParameterError):
            raise bad_request(str(error.__cause__), error.__cause__.parameter) from error
        raise bad_request(f"sampling_params: {error}.", "sampling_params") from error


def _choice(run: _Run, answer: CompletionOutput) -> dict[str, Any]:
    logprobs = None
    if run.formatter is not None and answer.logprobs is not None:
        logprobs = run.formatter.chat(answer.token_ids, answer.logprobs)
    return {
        "index": answer.index,
        "logprobs": logprobs,
        "finish_reason": answer.finish_reason,
        "stop_reason": answer.stop_reason,
        "token_ids": answer.token_ids,
    }


async def _whole(run: _Run) -> dict[str, Any]:
    async with aclosing(run.outputs) as outputs:
        async for _, output in outputs:
            run.account.add(0, output)
    return {
        "request_id": run.id,
        "choices": [_choice(run, answer) for answer in output.outputs],
        "prompt_logprobs": prompt_logprobs(output.prompt_logprobs),
        "kv_transfer_params": None,
        "usage": run.account.usage(),
    }


async def _events(run: _Run) -> AsyncGenerator[bytes, None]:
    created = int(time.time())
    options = run.request.stream_options
    async with aclosing(run.outputs) as outputs:
        async for _, output in outputs:
            run.account.add(0, output)
            choices = [_choice(run, answer) for answer in output.outputs]
            chunk: dict[str, Any] = {"request_id": run.id, "created": created, "choices": choices}
            yield event(chunk)
    if options is not None and options.include_usage:
        yield event({"request_id": run.id, "created": created, "choices": [], "usage": run.account.usage()})
    yield DONE
