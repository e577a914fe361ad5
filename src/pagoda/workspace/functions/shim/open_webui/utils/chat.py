"""Asking a model of the house."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from pagoda.workspace.functions.plugin_process.peer import peer


async def generate_chat_completion(
    request: Any = None, form_data: Mapping[str, Any] | None = None, user: Any = None, **_options: Any
) -> Any:
    """Answers a chat request in the name of the user whose request the function serves, whoever is given.

    Gives a chat.completion, or with `stream` a StreamingResponse of its chunks. Raises RuntimeError with the
    reason where there is no answer.
    """
    body = dict(form_data or {})
    chunks: list[dict[str, Any]] = await asyncio.wrap_future(peer().ask("complete", body=body))
    made = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": body.get("model")}
    if not body.get("stream"):
        return _whole(chunks, made)
    from starlette.responses import StreamingResponse

    async def lines() -> AsyncIterator[str]:
        for chunk in chunks:
            yield f"data: {json.dumps({**made, 'object': 'chat.completion.chunk', **chunk})}\n\n"
        yield "data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


def _whole(chunks: list[dict[str, Any]], made: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    reason, usage = "stop", None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {}
            for name in ("content", "reasoning_content"):
                if isinstance(delta.get(name), str):
                    message[name] = message.get(name, "") + delta[name]
            reason = choice.get("finish_reason") or reason
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {**made, "object": "chat.completion", "choices": [choice], "usage": usage}
