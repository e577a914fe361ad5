"""/v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.body import read_body
from pagoda.api.chat_run import ChatAnswer, ChatRun, prepare_chat
from pagoda.api.chunks import ChunkEncoder
from pagoda.api.openapi import documented
from pagoda.api.protocol.chat import ChatCompletion, ChatCompletionRequest
from pagoda.api.responses import FINGERPRINT, shows_usage, whole_response
from pagoda.api.settings import ServerSettings
from pagoda.api.sse import DONE, EventStream
from pagoda.api.state import state_of

router = APIRouter(tags=["chat"])


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
    run = await prepare_chat(state, http.headers, request)
    if request.stream:
        return EventStream(_events(run, state.settings), state, on_close=run.close)
    return await whole_response(http, state, _whole(run), run.close)


async def _whole(run: ChatRun) -> dict[str, Any]:
    answers = await run.whole()
    return {
        "id": run.id,
        "object": "chat.completion",
        "created": run.created,
        "model": run.model,
        "choices": [_choice(run, answer) for answer in answers],
        "service_tier": None,
        "system_fingerprint": FINGERPRINT,
        "usage": run.account.usage(),
        "prompt_logprobs": run.prompt_logprobs,
        "prompt_token_ids": run.prompt_token_ids if run.request.return_token_ids else None,
        "prompt_text": run.prompt_text if run.request.return_prompt_text else None,
        "kv_transfer_params": None,
        "metrics": run.account.response_metrics(),
    }


def _choice(run: ChatRun, answer: ChatAnswer) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": run.role,
        "content": answer.content,
        "refusal": None,
        "audio": None,
        "tool_calls": answer.tool_calls,
        "reasoning": answer.reasoning,
        "reasoning_content": answer.reasoning,
    }
    return {
        "index": answer.index,
        "message": message,
        "logprobs": answer.logprobs,
        "finish_reason": answer.finish_reason,
        "stop_reason": answer.stop_reason,
        "token_ids": answer.token_ids if run.request.return_token_ids else None,
    }


async def _events(run: ChatRun, settings: ServerSettings) -> AsyncGenerator[bytes, None]:
    """The stream: a role chunk with an answer's first token, news as they come, finish, counts, [DONE]."""
    request = run.request
    encoder = ChunkEncoder("chat", run.id, run.created, run.model, FINGERPRINT)
    include_usage, continuous = shows_usage(request, settings)
    with_ids = bool(request.return_token_ids)
    plain = not with_ids and not continuous
    begun: set[int] = set()
    async with aclosing(run.pieces()) as news:
        async for pieces in news:
            parts = []
            for piece in pieces:
                if piece.index not in begun:
                    begun.add(piece.index)
                    parts.append(_role(run, encoder, piece.index))
                if plain and piece.finish_reason is None and piece.logprobs is None:
                    parts.append(encoder.delta(piece.index, piece.delta))
                    continue
                parts.append(
                    encoder.full(
                        piece.index,
                        piece.delta,
                        logprobs=piece.logprobs,
                        finish_reason=piece.finish_reason,
                        stop_reason=piece.stop_reason,
                        token_ids=piece.token_ids if with_ids else None,
                        usage=run.account.usage() if continuous else None,
                    )
                )
            if run.finished:
                if include_usage:
                    parts.append(encoder.usage(run.account.usage(), run.account.response_metrics()))
                parts.append(DONE)
            if data := b"".join(parts):
                yield data


def _role(run: ChatRun, encoder: ChunkEncoder, index: int) -> bytes:
    request = run.request
    return encoder.role(
        index,
        run.role,
        prompt_token_ids=run.prompt_token_ids if request.return_token_ids else None,
        prompt_text=run.prompt_text if request.return_prompt_text else None,
    )
