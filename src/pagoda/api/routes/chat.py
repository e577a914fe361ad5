"""/v1/chat/completions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.accounting import Account
from pagoda.api.body import read_body
from pagoda.api.chunks import ChunkEncoder
from pagoda.api.engine_errors import as_api_error
from pagoda.api.generation import Outputs, start
from pagoda.api.logprobs import LogprobFormatter, prompt_logprobs
from pagoda.api.openapi import documented
from pagoda.api.prompts import chat_text, encode_text
from pagoda.api.protocol.chat import ChatCompletion, ChatCompletionRequest
from pagoda.api.responses import FINGERPRINT, response_id, shows_usage, whole_response
from pagoda.api.sampling import cap_answer, chat_sampling
from pagoda.api.sse import DONE, EventStream
from pagoda.api.state import ServerState, state_of
from pagoda.api.unsupported import check_unsupported
from pagoda.engine.outputs import CompletionOutput

router = APIRouter(tags=["chat"])


@dataclass(slots=True)
class _Chat:
    """A validated request on its way."""

    request: ChatCompletionRequest
    id: str
    created: int
    model: str
    prompt: list[int]
    outputs: Outputs
    account: Account
    formatter: LogprobFormatter | None


@router.post(
    "/v1/chat/completions",
    summary="Answer a conversation",
    **documented(ChatCompletionRequest, ChatCompletion),
)
async def create_chat_completion(http: Request) -> Response:
    """Compatible with OpenAI's chat completions and vLLM's further fields."""
    state = state_of(http)
    state.check_serving()
    request = await read_body(http, ChatCompletionRequest, state.settings.max_body_bytes)
    try:
        chat = await _prepare(state, http, request)
    except Exception as error:
        raise as_api_error(error) from error
    if request.stream:
        return EventStream(_events(chat), state)
    return await whole_response(http, state, _whole(chat))


async def _prepare(state: ServerState, http: Request, request: ChatCompletionRequest) -> _Chat:
    lease = await state.lease(request.model)
    check_unsupported(request)
    defaults, llm = lease.model.sampling_defaults, lease.llm
    params = chat_sampling(request, defaults)
    identity = response_id("chatcmpl", http, request)
    text = chat_text(llm, request)
    prompt = await encode_text(llm, text, params, add_special_tokens=bool(request.add_special_tokens))
    params = cap_answer(params, defaults, llm.info.max_model_len - len(prompt))
    outputs = start(llm, [prompt], params, request, identity, stream=bool(request.stream))
    formatter = None
    if request.logprobs:
        as_ids = bool(request.return_tokens_as_token_ids)
        formatter = LogprobFormatter(llm.tokenizer, request.top_logprobs or 0, as_ids=as_ids)
    account = Account(lease.model.metrics, [prompt], params)
    return _Chat(request, identity, int(time.time()), lease.name, prompt, outputs, account, formatter)


async def _whole(chat: _Chat) -> dict[str, Any]:
    request, account = chat.request, chat.account
    try:
        async with aclosing(chat.outputs) as outputs:
            async for _, output in outputs:
                account.add(0, output)
                if output.finished:
                    break
    finally:
        account.close()
    return {
        "id": chat.id,
        "object": "chat.completion",
        "created": chat.created,
        "model": chat.model,
        "choices": [_choice(chat, answer) for answer in output.outputs],
        "service_tier": None,
        "system_fingerprint": FINGERPRINT,
        "usage": account.usage(),
        "prompt_logprobs": prompt_logprobs(output.prompt_logprobs),
        "prompt_token_ids": chat.prompt if request.return_token_ids else None,
        "kv_transfer_params": None,
        "metrics": account.response_metrics(),
    }


def _choice(chat: _Chat, answer: CompletionOutput) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text,
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "tool_calls": [],
        "reasoning": None,
        "reasoning_content": None,
    }
    return {
        "index": answer.index,
        "message": message,
        "logprobs": _logprobs(chat, answer),
        "finish_reason": answer.finish_reason,
        "stop_reason": answer.stop_reason,
        "token_ids": answer.token_ids if chat.request.return_token_ids else None,
    }


def _logprobs(chat: _Chat, answer: CompletionOutput) -> dict[str, Any] | None:
    if chat.formatter is None or answer.logprobs is None:
        return None
    return chat.formatter.chat(answer.token_ids, answer.logprobs)


async def _events(chat: _Chat) -> AsyncGenerator[bytes, None]:
    """The stream: a role chunk with an answer's first token, text as it comes, finish, counts, [DONE]."""
    encoder = ChunkEncoder("chat", chat.id, chat.created, chat.model, FINGERPRINT)
    include_usage, continuous = shows_usage(chat.request)
    begun: set[int] = set()
    try:
        async with aclosing(chat.outputs) as outputs:
            async for _, output in outputs:
                chat.account.add(0, output)
                parts = []
                for answer in output.outputs:
                    if answer.index not in begun:
                        begun.add(answer.index)
                        parts.append(
                            encoder.role(answer.index, chat.prompt if chat.request.return_token_ids else None)
                        )
                    parts.append(_chunk(chat, encoder, answer, continuous))
                if output.finished:
                    if include_usage:
                        parts.append(encoder.usage(chat.account.usage(), chat.account.response_metrics()))
                    parts.append(DONE)
                if data := b"".join(parts):
                    yield data
    finally:
        chat.account.close()


def _chunk(chat: _Chat, encoder: ChunkEncoder, answer: CompletionOutput, continuous: bool) -> bytes:
    """What is new of an answer; nothing while its text is held back and nothing else is asked for."""
    with_ids = chat.request.return_token_ids
    if answer.finish_reason is None and chat.formatter is None and not with_ids and not continuous:
        return encoder.text(answer.index, answer.text) if answer.text else b""
    return encoder.full(
        answer.index,
        answer.text,
        logprobs=_logprobs(chat, answer),
        finish_reason=answer.finish_reason,
        stop_reason=answer.stop_reason,
        token_ids=answer.token_ids if with_ids else None,
        usage=chat.account.usage() if continuous else None,
    )
