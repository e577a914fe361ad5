"""A validated /v1/completions request on its way: several prompts, each with n answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from pagoda.api.accounting import Account
from pagoda.api.engine_errors import released_on_failure
from pagoda.api.errors import bad_request
from pagoda.api.generation import Outputs, start
from pagoda.api.guests import admitted
from pagoda.api.logprobs import LogprobFormatter, Position, prompt_logprobs
from pagoda.api.model_pool import Lease
from pagoda.api.prompts import encode_text
from pagoda.api.protocol.completions import CompletionRequest
from pagoda.api.responses import response_id
from pagoda.api.sampling import Limits, completion_sampling, ranked
from pagoda.api.settings import ServerSettings
from pagoda.api.state import ServerState
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
from pagoda.engine.validation import truncate_prompt

MAX_ANSWERS = 4096  #: of one request


@dataclass(slots=True)
class Prompt:
    """One of the prompts of a request, and how much text its answers have so far."""

    token_ids: list[int]
    text: str  #: to echo; "" where that is not asked for
    sent: dict[int, int]  #: answer -> characters sent


@dataclass(slots=True)
class CompletionRun:
    """Read it once, by `whole` or by its `outputs`; then `close` it, whatever happened."""

    request: CompletionRequest
    id: str
    created: int
    model: str
    params: SamplingParams
    prompts: list[Prompt]
    outputs: Outputs
    account: Account
    formatter: LogprobFormatter | None
    lease: Lease

    @property
    def prompt_only(self) -> bool:
        """Whether the answer itself is not wanted (max_tokens 0 with echo)."""
        return self.request.max_tokens == 0

    @property
    def wanted(self) -> int:
        """Answers to give for each prompt; with best_of more are made."""
        return self.request.n or 1

    async def whole(self) -> list[dict[str, Any]]:
        """All choices in order."""
        results: list[RequestOutput | None] = [None] * len(self.prompts)
        async with aclosing(self.outputs) as outputs:
            async for number, output in outputs:
                self.note(number, output)
                results[number] = output
        return [
            self._choice(number, output, place, answer)
            for number, output in enumerate(results)
            if output is not None
            for place, answer in enumerate(self._best(output.outputs))
        ]

    def note(self, number: int, output: RequestOutput) -> None:
        """Enters an output of the prompt with this number into the bill; drops what nobody asked for."""
        if self.prompt_only:
            for answer in output.outputs:  # the engine gives one token at least
                answer.text, answer.token_ids = "", []
                answer.logprobs = None if answer.logprobs is None else []
                answer.finish_reason, answer.stop_reason = answer.finish_reason and "length", None
        self.account.add(number, output)

    def logprobs(
        self, prompt: Prompt, output: RequestOutput, answer: CompletionOutput, *, first: bool
    ) -> dict[str, Any] | None:
        """Of the tokens that are new; before an answer's first ones those of an echoed prompt."""
        if self.formatter is None:
            return None
        token_ids: list[int] = list(answer.token_ids)
        positions: list[Position | None] = list(answer.logprobs or [])
        if first and self.request.echo:
            token_ids = prompt.token_ids + token_ids
            positions = [*(output.prompt_logprobs or [None] * len(prompt.token_ids)), *positions]
        return self.formatter.completion(token_ids, positions, prompt.sent.get(answer.index, 0))

    def close(self, *, count: bool = True) -> None:
        """Frees the request in the engine, enters it into /metrics (unless not to `count`) and gives its
        model back. May be called twice.
        """
        self.outputs.close()
        if count:
            self.account.close()
        self.lease.release()

    def _best(self, answers: list[CompletionOutput]) -> list[CompletionOutput]:
        if len(answers) <= self.wanted:
            return answers
        return sorted(answers, key=lambda answer: -(answer.cumulative_logprob or 0.0))[: self.wanted]

    def _choice(
        self, number: int, output: RequestOutput, place: int, answer: CompletionOutput
    ) -> dict[str, Any]:
        prompt, request = self.prompts[number], self.request
        told = output.prompt_logprobs if request.prompt_logprobs is not None else None
        return {
            "index": number * self.wanted + place,
            "text": prompt.text + answer.text,
            "logprobs": self.logprobs(prompt, output, answer, first=True),
            "finish_reason": answer.finish_reason,
            "stop_reason": answer.stop_reason,
            "token_ids": answer.token_ids if request.return_token_ids else None,
            "prompt_logprobs": prompt_logprobs(told),
            "prompt_token_ids": prompt.token_ids if request.return_token_ids else None,
        }


async def prepare_completion(
    state: ServerState, headers: Mapping[str, str], request: CompletionRequest
) -> CompletionRun:
    """Validates a request and makes it ready to run; nothing is asked of the engine before it is read.

    headers: of the HTTP request, by lower-case names. Raises ApiError.
    """
    lease = await state.lease(request.model)
    with released_on_failure(lease):
        return await _prepare(state, lease, headers, request)


async def _prepare(
    state: ServerState, lease: Lease, headers: Mapping[str, str], request: CompletionRequest
) -> CompletionRun:
    guest = await admitted(state, headers, request.model)
    check_unsupported(request)
    llm, settings = lease.llm, state.settings
    if llm.info.runner == "pooling":
        raise bad_request(f"The model `{lease.name}` does not support Completions API", "model")
    limits = Limits(llm.info.max_model_len, llm.info.vocab_size, settings.max_logprobs)
    if request.thinking_token_budget is not None and request.thinking_token_budget >= 0:
        raise bad_request("thinking_token_budget is for chats; leave it out.", "thinking_token_budget")
    tell_old_spellings(state, request)
    constraint = structured_outputs(request)
    params = completion_sampling(request, lease.model.sampling_defaults, limits, constraint)
    params = ranked(params, request)
    if constraint is not None:
        await check_constraint(state, constraint, param_of(request))
    listed = _listed(request.prompt)
    if len(listed) * params.n > MAX_ANSWERS:
        message = f"{len(listed)} prompts with n={params.n} ask for more than {MAX_ANSWERS} answers at once."
        raise bad_request(message, "prompt")
    prompts = [await _prompt(llm, request, prompt, params) for prompt in listed]
    identity = response_id("cmpl", headers, request)
    token_ids = [prompt.token_ids for prompt in prompts]
    return CompletionRun(
        request=request,
        id=identity,
        created=int(time.time()),
        model=lease.name,
        params=params,
        prompts=prompts,
        outputs=start(llm, token_ids, params, request, identity, stream=bool(request.stream)),
        account=Account(lease.model.metrics, token_ids, params, model=lease.model.name, guest=guest),
        formatter=_formatter(llm, settings, request, params),
        lease=lease,
    )


def _formatter(
    llm: AsyncLLM, settings: ServerSettings, request: CompletionRequest, params: SamplingParams
) -> LogprobFormatter | None:
    if request.logprobs is None and not request.logprob_token_ids:
        return None
    as_ids = request.return_tokens_as_token_ids
    return LogprobFormatter(
        llm.tokenizer,
        params.logprobs or 0,
        as_ids=settings.return_tokens_as_token_ids if as_ids is None else as_ids,
        listed=params.logprob_token_ids,
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
) -> Prompt:
    if isinstance(prompt, str):
        special = request.add_special_tokens is not False
        token_ids = await encode_text(llm, prompt, params, add_special_tokens=special)
    else:
        token_ids = truncate_prompt(prompt, params, max_model_len=llm.info.max_model_len)
    text = ""
    if request.echo and isinstance(prompt, str) and params.truncate_prompt_tokens is None:
        text = prompt
    elif request.echo:
        text = await asyncio.to_thread(llm.tokenizer.decode, token_ids, params.skip_special_tokens)
    return Prompt(token_ids, text, {})
