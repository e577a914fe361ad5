"""The one way to make vectors for a request: its inputs read, run together, and given up together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec
from fastapi import Request, Response

from pagoda.api.body import read_body
from pagoda.api.errors import bad_request
from pagoda.api.guests import admitted
from pagoda.api.hooks import Guest
from pagoda.api.model_pool import Lease
from pagoda.api.protocol.pooling import MAX_INPUTS, CohereEmbedRequest, Inputs, PoolingFields
from pagoda.api.responses import whole_response
from pagoda.api.state import state_of
from pagoda.engine.async_llm import AsyncLLM, RequestFailedError
from pagoda.engine.config import PoolingInfo
from pagoda.engine.messages import PoolingTask
from pagoda.engine.pooling_inputs import PoolingInput, PoolingPrompt, Truncation, read_prompts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

Body = TypeVar("Body", bound=PoolingFields | CohereEmbedRequest)
Answer: TypeAlias = Callable[[Request, Lease, Body], Coroutine[Any, Any, dict[str, Any]]]

_LONG_TEXT = 16_384  #: characters from which on tokenising leaves the event loop to others


async def answer(http: Request, kind: type[Body], make: Answer[Body]) -> Response:
    """Reads a body of this kind and answers what `make` makes of it, with the model that it names."""
    state = state_of(http)
    state.check_serving()
    body = await read_body(http, kind, state.settings.max_body_bytes)
    guest = await admitted(state, http.headers, body.model)
    lease = await state.lease(body.model)
    made = make(http, lease, body)
    if guest is not None:
        made = _counted(made, guest, lease.model.name)
    return await whole_response(http, state, made, lease.release)


async def _counted(made: Coroutine[Any, Any, dict[str, Any]], guest: Guest, model: str) -> dict[str, Any]:
    answered = await made
    usage = answered.get("usage") or {}
    billed = (answered.get("meta") or {}).get("billed_units") or {}  # as Cohere says it
    guest.used(model, {"prompt_tokens": usage.get("prompt_tokens", billed.get("input_tokens"))}, {})
    return answered


def require_pooling(lease: Lease, api: str) -> PoolingInfo:
    """Raises ApiError 400 for a model that generates text. `api`: its name, such as "Embeddings"."""
    info = lease.llm.info.pooling
    if info is None:
        raise bad_request(
            f"The model `{lease.name}` does not support {api} API: it generates text. Serve it with "
            "--runner pooling for embeddings.",
            "model",
        )
    return info


def require_embeddings(lease: Lease, api: str) -> PoolingInfo:
    """Raises ApiError 400 for a model that generates text or classifies it."""
    info = require_pooling(lease, api)
    if info.labels:
        raise bad_request(
            f"The model `{lease.name}` does not support {api} API: it gives scores, not embeddings.", "model"
        )
    return info


def listed(inputs: Inputs, name: str = "input") -> list[PoolingPrompt]:
    """The prompts of a request, in their order. Raises ApiError 400 for none or too many."""
    if isinstance(inputs, str):
        return [inputs]
    if not inputs:
        raise bad_request(f"{name} must not be an empty list.", name)
    if isinstance(inputs[0], int):
        return [[token for token in inputs if isinstance(token, int)]]
    if len(inputs) > MAX_INPUTS:
        raise bad_request(f"{name} has {len(inputs)} entries; at most {MAX_INPUTS} are taken.", name)
    return [item for item in inputs if not isinstance(item, int)]


def truncation_of(request: PoolingFields) -> Truncation:
    """How the request wants long texts to be cut."""
    return Truncation(request.truncate_prompt_tokens, request.truncation_side or "right")


async def read_inputs(
    llm: AsyncLLM, prompts: Sequence[PoolingPrompt], truncation: Truncation
) -> list[PoolingInput]:
    """The prompts in tokens. Raises PromptError."""
    size = sum(_characters(prompt) for prompt in prompts)
    if size < _LONG_TEXT:
        return read_prompts(llm.tokenizer, prompts, llm.info, truncation)
    return await asyncio.to_thread(read_prompts, llm.tokenizer, prompts, llm.info, truncation)


async def run(
    lease: Lease,
    inputs: Sequence[PoolingInput],
    request_id: str,
    task: PoolingTask,
    request: PoolingFields | None = None,
) -> list[Array]:
    """The vectors of all inputs, entered into /metrics; the first failure ends the others."""
    priority = (request.priority if request else None) or 0
    user = (request.user if request else None) or ""
    metrics = lease.model.metrics
    started = time.monotonic()
    task = msgspec.structs.replace(task, group=request_id)

    async def embed(number: int, prompt: PoolingInput) -> Array:
        reason = "abort"
        try:
            vector = await lease.llm.embed(
                prompt, f"{request_id}-{number}", task, priority=priority, user=user
            )
            reason = "stop"
            return vector
        except RequestFailedError:
            reason = "error"
            raise
        finally:
            metrics.observe_pooling(len(prompt.token_ids), time.monotonic() - started, reason)

    tasks = [asyncio.ensure_future(embed(number, prompt)) for number, prompt in enumerate(inputs)]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def usage(inputs: Sequence[PoolingInput]) -> dict[str, Any]:
    """OpenAI's `usage`."""
    tokens = sum(len(prompt.token_ids) for prompt in inputs)
    return {
        "prompt_tokens": tokens,
        "total_tokens": tokens,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
    }


def _characters(prompt: PoolingPrompt) -> int:
    if isinstance(prompt, str):
        return len(prompt)
    return sum(map(len, prompt)) if isinstance(prompt, tuple) else 0
