"""/v1/chat/completions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.body import read_body
from pagoda.api.chat_events import ChatEvents
from pagoda.api.chat_run import ChatAnswer, ChatRun, prepare_chat
from pagoda.api.errors import bad_request
from pagoda.api.guests import admitted
from pagoda.api.hooked_chat import AnsweredChat, filtered, hooked
from pagoda.api.openapi import documented
from pagoda.api.protocol.chat import BatchChatRequest, ChatCompletion, ChatCompletionRequest
from pagoda.api.responses import FINGERPRINT, whole_response
from pagoda.api.sse import EventStream
from pagoda.api.state import state_of

MAX_BATCH = 256  #: conversations of one request
_COUNTS = ("prompt_tokens", "total_tokens", "completion_tokens")

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
    chat = await hooked(state, http.headers, request)
    if chat is not None and chat.elsewhere:
        answered = AnsweredChat(chat, http.headers)
        if request.stream:
            return EventStream(answered.events(), state)
        return await whole_response(http, state, answered.whole(), _nothing)
    run = await prepare_chat(state, http.headers, request if chat is None else chat.request)
    if chat is not None:
        chat.attach(run, whole=not request.stream)
    if request.stream:
        events = ChatEvents(run, state.settings)
        source = events if chat is None else filtered(events, chat.hook)
        return EventStream(source, state, on_close=run.close)
    return await whole_response(http, state, _whole(run), run.close)


@router.post(
    "/v1/chat/completions/batch",
    summary="Answer several conversations",
    **documented(BatchChatRequest, ChatCompletion),
)
async def create_chat_batch(http: Request) -> Response:
    """One answer to each conversation, in one response; `index` is the conversation's place."""
    state = state_of(http)
    state.check_serving()
    batch = await read_body(http, BatchChatRequest, state.settings.max_body_bytes)
    if batch.stream or (batch.n or 1) > 1 or (batch.best_of or 1) > 1:
        field = "stream" if batch.stream else "n"
        raise bad_request("A batch of chats is answered whole, with one answer to each.", field)
    if not 0 < len(batch.messages) <= MAX_BATCH:
        raise bad_request(f"messages must hold 1 to {MAX_BATCH} conversations.", "messages")
    await admitted(state, http.headers, batch.model)
    shared = batch.model_dump(exclude={"messages"}, exclude_unset=True)
    runs: list[ChatRun] = []

    def close() -> None:
        for run in runs:
            run.close()

    try:
        for messages in batch.messages:
            request = ChatCompletionRequest.model_validate({**shared, "messages": messages})
            runs.append(await prepare_chat(state, http.headers, request))
    except BaseException:
        close()
        raise
    return await whole_response(http, state, _batch(runs), close)


async def _batch(runs: Sequence[ChatRun]) -> dict[str, Any]:
    answers = await asyncio.gather(*(run.whole() for run in runs))
    choices = []
    for index, (run, [answer]) in enumerate(zip(runs, answers, strict=True)):
        choices.append({**_choice(run, answer), "index": index})
    first, usages = _completion(runs[0], choices), [run.account.usage() for run in runs]
    counts = {name: sum(usage[name] for usage in usages) for name in _COUNTS}
    return {**first, "usage": counts, "metrics": None}


async def _whole(run: ChatRun) -> dict[str, Any]:
    return _completion(run, [_choice(run, answer) for answer in await run.whole()])


def _nothing() -> None:
    """What there is to give back of a chat that runs elsewhere."""


def _completion(run: ChatRun, choices: list[dict[str, Any]]) -> dict[str, Any]:
    request = run.request
    return {
        "id": run.id,
        "object": "chat.completion",
        "created": run.created,
        "model": run.model,
        "choices": choices,
        "service_tier": None,
        "system_fingerprint": FINGERPRINT,
        "usage": run.account.usage(),
        "prompt_logprobs": run.prompt_logprobs,
        "prompt_token_ids": run.prompt_token_ids if request.return_token_ids else None,
        "prompt_text": run.prompt_text if request.return_prompt_text else None,
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
