"""/v1/completions."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.accounting import Account
from pagoda.api.body import read_body
from pagoda.api.chunks import ChunkEncoder
from pagoda.api.engine_errors import as_api_error
from pagoda.api.errors import bad_request
from pagoda.api.generation import Outputs, start
from pagoda.api.logprobs import LogprobFormatter, Position, prompt_logprobs
from pagoda.api.model_pool import Lease
from pagoda.api.openapi import documented
from pagoda.api.prompts import encode_text
from pagoda.api.protocol.completions import Completion, CompletionRequest
from pagoda.api.responses import FINGERPRINT, response_id, shows_usage, whole_response
from pagoda.api.sampling import Limits, completion_sampling, ranked
from pagoda.api.settings import ServerSettings
from pagoda.api.sse import DONE, EventStream
from pagoda.api.state import ServerState, state_of
from pagoda.api.structured import (
    check_constraint,
    param_of,
    structured_outputs,
    tell_old_spellings,
)
from pagoda.api.unsupported import check_unsupported
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.outputs import CompletionOutput, RequestOutput
from pagoda.engine.params import SamplingParams

MAX_ANSWERS = 4096  #: of one request

router = APIRouter(tags=["completions"])


@dataclass(slots=True)
class _Prompt:
    """One of the prompts of a request, and how much text its answers have so far."""

    token_ids: list[int]
    text: str  #: to echo; "" where that is not asked for
    sent: dict[int, int]  #: answer -> characters sent


@dataclass(slots=True)
class _Work:
    """A validated request on its way."""

    request: CompletionRequest
    id: str
    created: int
    model: str
    params: SamplingParams
    prompts: list[_Prompt]
    outputs: Outputs
    account: Account
    formatter: LogprobFormatter | None
    lease: Lease

    def close(self) -> None:
        """Enters the request into /metrics and gives its model back."""
        self.account.close()
        self.lease.release()

    @property
    def prompt_only(self) -> bool:
        """Whether the answer itself is not wanted (max_tokens 0 with echo)."""
        return self.request.max_tokens == 0


@router.post("/v1/completions", summary="Continue a text", **documented(CompletionRequest, Completion))
async def create_completion(http: Request) -> Response:
    """Compatible with OpenAI's completions and vLLM's further fields; several prompts may come at once."""
    state = state_of(http)
    state.check_serving()
    request = await read_body(http, CompletionRequest, state.settings.max_body_bytes)
    lease = await state.lease(request.model)
    try:
        work = await _prepare(state, lease, http, request)
    except Exception as error:
        lease.release()
        raise as_api_error(error) from error
    except BaseException:
        lease.release()
        raise
    if request.stream:
        return EventStream(_Events(work, state.settings), state, on_close=work.close)
    return await whole_response(http, state, _whole(work), work.close)


async def _prepare(state: ServerState, lease: Lease, http: Request, request: CompletionRequest) -> _Work:
    check_unsupported(request)
    llm, settings = lease.llm, state.settings
    if llm.info.runner == "pooling":
        raise bad_request(f"The model `{lease.name}` does not support Completions API", "model")
    limits = Limits(llm.info.max_model_len, llm.info.vocab_size, settings.max_logprobs)
    tell_old_spellings(state, request)
    constraint = structured_outputs(request)
    params = completion_sampling(request, lease.model.sampling_defaults, limits, constraint)
    params = ranked(params, request)
    if constraint is not None:
        await check_constraint(constraint, param_of(request))
    listed = _listed(request.prompt)
    if len(listed) * params.n > MAX_ANSWERS:
        message = f"{len(listed)} prompts with n={params.n} ask for more than {MAX_ANSWERS} answers at once."
        raise bad_request(message, "prompt")
    prompts = [await _prompt(llm, request, prompt, params) for prompt in listed]
    identity = response_id("cmpl", http.headers, request)
    token_ids = [prompt.token_ids for prompt in prompts]
    outputs = start(llm, token_ids, params, request, identity, stream=bool(request.stream))
    formatter = None
    if request.logprobs is not None:
        as_ids = request.return_tokens_as_token_ids
        formatter = LogprobFormatter(
            llm.tokenizer,
            params.logprobs or 0,
            as_ids=settings.return_tokens_as_token_ids if as_ids is None else as_ids,
            listed=params.logprob_token_ids,
        )
    account = Account(lease.model.metrics, token_ids, params)
    return _Work(
        request, identity, int(time.time()), lease.name, params, prompts, outputs, account, formatter, lease
    )


def _listed(prompt: str | list[int] | list[str] | list[list[int]]) -> list[str | list[int]]:
    if isinstance(prompt, str):
        return [prompt]
    if not prompt:
        raise bad_request("prompt must not be an empty list.", "prompt")
    if isinstance(prompt[0], int):
        return [[token for token in prompt if isinstance(token, int)]]
    return [item for item in prompt if not isinstance(item, int)]


async def _prompt(
    llm: AsyncLLM, request: CompletionRequest, prompt: str | list[int], params: SamplingParams
) -> _Prompt:
    if isinstance(prompt, str):
        special = request.add_special_tokens is not False
        token_ids, text = await encode_text(llm, prompt, params, add_special_tokens=special), prompt
    else:
        token_ids = prompt
        text = llm.tokenizer.decode(prompt, params.skip_special_tokens) if request.echo else ""
    return _Prompt(token_ids, text if request.echo else "", {})


async def _whole(work: _Work) -> dict[str, Any]:
    results: list[RequestOutput | None] = [None] * len(work.prompts)
    async with aclosing(work.outputs) as outputs:
        async for number, output in outputs:
            if work.prompt_only:
                _drop_answer(output)
            work.account.add(number, output)
            results[number] = output
    choices = [
        _choice(work, number, output, answer)
        for number, output in enumerate(results)
        if output is not None
        for answer in output.outputs
    ]
    return {
        "id": work.id,
        "object": "text_completion",
        "created": work.created,
        "model": work.model,
        "choices": choices,
        "service_tier": None,
        "system_fingerprint": FINGERPRINT,
        "usage": work.account.usage(),
        "kv_transfer_params": None,
        "metrics": work.account.response_metrics(),
    }


def _choice(work: _Work, number: int, output: RequestOutput, answer: CompletionOutput) -> dict[str, Any]:
    prompt, request = work.prompts[number], work.request
    return {
        "index": number * work.params.n + answer.index,
        "text": prompt.text + answer.text,
        "logprobs": _logprobs(work, prompt, output, answer, first=True),
        "finish_reason": answer.finish_reason,
        "stop_reason": answer.stop_reason,
        "token_ids": answer.token_ids if request.return_token_ids else None,
        "prompt_logprobs": prompt_logprobs(output.prompt_logprobs)
        if request.prompt_logprobs is not None
        else None,
        "prompt_token_ids": prompt.token_ids if request.return_token_ids else None,
    }


def _logprobs(
    work: _Work, prompt: _Prompt, output: RequestOutput, answer: CompletionOutput, *, first: bool
) -> dict[str, Any] | None:
    """Of the tokens that are new; before an answer's first ones those of an echoed prompt."""
    if work.formatter is None:
        return None
    token_ids: list[int] = list(answer.token_ids)
    positions: list[Position | None] = list(answer.logprobs or [])
    if first and work.request.echo:
        token_ids = prompt.token_ids + token_ids
        positions = [*(output.prompt_logprobs or [None] * len(prompt.token_ids)), *positions]
    return work.formatter.completion(token_ids, positions, prompt.sent.get(answer.index, 0))


def _drop_answer(output: RequestOutput) -> None:
    """Leaves the prompt alone: the engine gives one token at least."""
    for answer in output.outputs:
        answer.text, answer.token_ids = "", []
        answer.logprobs = None if answer.logprobs is None else []
        answer.finish_reason, answer.stop_reason = answer.finish_reason and "length", None


class _Events:
    """An `EventSource` of the answers to all prompts."""

    def __init__(self, work: _Work, settings: ServerSettings) -> None:
        self._work = work
        self._encoder = ChunkEncoder("text", work.id, work.created, work.model, FINGERPRINT)
        self._include_usage, self._continuous = shows_usage(work.request, settings)
        self._running = len(work.prompts)
        self.finished = False

    def start(self, on_news: Callable[[], None]) -> None:
        self._work.outputs.start(on_news)

    def listen(self, on_news: Callable[[], None]) -> None:
        self._work.outputs.listen(on_news)

    def take(self) -> bytes:
        work, parts = self._work, []
        for number, output in work.outputs.take():
            if work.prompt_only:
                _drop_answer(output)
            work.account.add(number, output)
            for answer in output.outputs:
                parts.append(_chunk(work, self._encoder, number, output, answer, self._continuous))
            if output.finished:
                self._running -= 1
                if not self._running:
                    parts.append(self._last())
                    self.finished = True
        return b"".join(parts)

    def close(self) -> None:
        self._work.outputs.close()

    def _last(self) -> bytes:
        if not self._include_usage:
            return DONE
        account = self._work.account
        return self._encoder.usage(account.usage(), account.response_metrics()) + DONE


def _chunk(
    work: _Work,
    encoder: ChunkEncoder,
    number: int,
    output: RequestOutput,
    answer: CompletionOutput,
    continuous: bool,
) -> bytes:
    """What is new of an answer; nothing while its text is held back and nothing else is asked for."""
    prompt, with_ids = work.prompts[number], work.request.return_token_ids
    first = answer.index not in prompt.sent
    text = prompt.text + answer.text if first else answer.text
    index = number * work.params.n + answer.index
    logprobs = _logprobs(work, prompt, output, answer, first=first)
    prompt.sent[answer.index] = prompt.sent.get(answer.index, 0) + len(text)
    if answer.finish_reason is None and logprobs is None and not with_ids and not continuous:
        return encoder.text(index, text) if text else b""
    return encoder.full(
        index,
        text,
        logprobs=logprobs,
        finish_reason=answer.finish_reason,
        stop_reason=answer.stop_reason,
        token_ids=answer.token_ids if with_ids else None,
        prompt_token_ids=prompt.token_ids if with_ids and first else None,
        usage=work.account.usage() if continuous else None,
    )
