"""/v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.body import read_body
from pagoda.api.chat_run import ChatAnswer, ChatPiece, ChatRun, prepare_chat
from pagoda.api.chunks import ChunkEncoder
from pagoda.api.openapi import documented
from pagoda.api.protocol.chat import ChatCompletion, ChatCompletionRequest
from pagoda.api.responses import FINGERPRINT, shows_usage, whole_response
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
        return EventStream(_events(run), state, on_close=run.close)
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
        "kv_transfer_params": None,
        "metrics": run.account.response_metrics(),
    }


def _choice(run: ChatRun, answer: ChatAnswer) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
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


async def _events(run: ChatRun) -> AsyncGenerator[bytes, None]:
    """The stream: a role chunk with an answer's first token, text as it comes, finish, counts, [DONE]."""
    encoder = ChunkEncoder("chat", run.id, run.created, run.model, FINGERPRINT)
    include_usage, continuous = shows_usage(run.request)
    begun: set[int] = set()
    async with aclosing(run.pieces()) as news:
        async for pieces in news:
            parts = []
            for piece in pieces:
                if piece.index not in begun:
                    begun.add(piece.index)
                    shown = run.prompt_token_ids if run.request.return_token_ids else None
                    parts.append(encoder.role(piece.index, shown))
                parts.append(_chunk(run, encoder, piece, continuous))
            if data := b"".join(parts):
                yield data
    if include_usage:
        yield encoder.usage(run.account.usage(), run.account.response_metrics()) + DONE
    else:
        yield DONE


def _chunk(run: ChatRun, encoder: ChunkEncoder, piece: ChatPiece, continuous: bool) -> bytes:
    """What is new of an answer; nothing while its text is held back and nothing else is asked for."""
    with_ids = run.request.return_token_ids
    if piece.finish_reason is None and piece.logprobs is None and not with_ids and not continuous:
        return encoder.text(piece.index, piece.delta.content) if piece.delta.content else b""
    return encoder.full(
        piece.index,
        piece.delta.content,
        logprobs=piece.logprobs,
        finish_reason=piece.finish_reason,
        stop_reason=piece.stop_reason,
        token_ids=piece.token_ids if with_ids else None,
        usage=run.account.usage() if continuous else None,
    )
