"""/v1/chat/completions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.body import read_body
from pagoda.api.chat_events import ChatEvents
from pagoda.api.chat_run import ChatAnswer, ChatRun, prepare_chat
from pagoda.api.openapi import documented
from pagoda.api.protocol.chat import ChatCompletion, ChatCompletionRequest
from pagoda.api.responses import FINGERPRINT, whole_response
from pagoda.api.sse import EventStream
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
        return EventStream(ChatEvents(run, state.settings), state, on_close=run.close)
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
