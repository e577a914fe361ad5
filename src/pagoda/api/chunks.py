"""The chunks of a stream as bytes, ready to send.

A server spends its time here, once a token and request, so the parts that all chunks of an answer share are
encoded once, and the usual chunk (some text and nothing else) is put together without building objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pagoda.api.sse import event
from pagoda.text.parsing import MessageDelta, ToolCallDelta

_encode = msgspec.json.encode
_REASONING = b',"delta":{"reasoning":'
_AGAIN = b',"reasoning_content":'


class ChunkEncoder:
    """Chunks of one response. kind: "chat" or "text" (for /v1/completions)."""

    def __init__(self, kind: str, response_id: str, created: int, model: str, fingerprint: str) -> None:
        self._chat = kind == "chat"
        self._fingerprint = fingerprint
        self._head = {
            "id": response_id,
            "object": "chat.completion.chunk" if self._chat else "text_completion",
            "created": created,
            "model": model,
        }
        self._before = b"data: " + _encode(self._head)[:-1] + b',"choices":[{"index":'
        if self._chat:
            self._middle = b',"delta":{"content":'
            self._after = b'},"logprobs":null,"finish_reason":null}]}\n\n'
        else:
            self._middle = b',"text":'
            self._after = b',"logprobs":null,"finish_reason":null,"stop_reason":null}]}\n\n'

    def role(
        self,
        index: int,
        role: str = "assistant",
        *,
        prompt_token_ids: list[int] | None = None,
        prompt_text: str | None = None,
        usage: dict[str, Any] | None = None,
    ) -> bytes:
        """The first chunk of a chat answer, sent together with its first token."""
        delta = {"role": role, "content": ""}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        chunk: dict[str, Any] = {**self._head, "choices": [choice]}
        if prompt_token_ids is not None:
            chunk["prompt_token_ids"] = prompt_token_ids
        if prompt_text is not None:
            chunk["prompt_text"] = prompt_text
        if usage is not None:
            chunk["usage"] = usage
        return event(chunk)

    def text(self, index: int, text: str) -> bytes:
        """New text and nothing else."""
        return b"".join((self._before, b"%d" % index, self._middle, _encode(text), self._after))

    def delta(self, index: int, delta: MessageDelta) -> bytes:
        """News of a chat answer and nothing else; nothing for none."""
        if delta.tool_calls or (delta.reasoning and delta.content):
            return self.full(index, delta)
        if delta.content:
            return b"".join((self._before, b"%d" % index, self._middle, _encode(delta.content), self._after))
        if delta.reasoning:
            text = _encode(delta.reasoning)
            return b"".join((self._before, b"%d" % index, _REASONING, text, _AGAIN, text, self._after))
        return b""

    def full(
        self,
        index: int,
        news: str | MessageDelta,
        *,
        logprobs: dict[str, Any] | None = None,
        finish_reason: str | None = None,
        stop_reason: int | str | None = None,
        token_ids: list[int] | None = None,
        prompt_token_ids: list[int] | None = None,
        usage: dict[str, Any] | None = None,
    ) -> bytes:
        """A chunk with more than text; the last one of an answer has a finish_reason."""
        choice: dict[str, Any] = {"index": index}
        if isinstance(news, MessageDelta):
            choice["delta"] = chat_delta(news, empty=finish_reason is None)
        else:
            choice["text"] = news
        choice.update(logprobs=logprobs, finish_reason=finish_reason)
        if finish_reason is not None or not self._chat:
            choice["stop_reason"] = stop_reason
        if token_ids is not None:
            choice["token_ids"] = token_ids
        if prompt_token_ids is not None:
            choice["prompt_token_ids"] = prompt_token_ids
        chunk: dict[str, Any] = {**self._head, "choices": [choice]}
        if finish_reason is not None:
            chunk["system_fingerprint"] = self._fingerprint
        if usage is not None:
            chunk["usage"] = usage
        return event(chunk)

    def usage(self, usage: dict[str, Any], metrics: dict[str, Any] | None) -> bytes:
        """The chunk after the last: no choices, the counts, and how fast it was."""
        return event({**self._head, "choices": [], "usage": usage, "metrics": metrics})


def chat_delta(delta: MessageDelta, *, empty: bool = False) -> dict[str, Any]:
    """`delta` of a chunk. empty: no news are written as an empty content, as they are where only tokens or
    log-probabilities came.
    """
    made: dict[str, Any] = {}
    if delta.reasoning:
        made["reasoning"] = made["reasoning_content"] = delta.reasoning
    if delta.content:
        made["content"] = delta.content
    if delta.tool_calls:
        made["tool_calls"] = _tool_calls(delta.tool_calls)
    return made if made or not empty else {"content": ""}


def _tool_calls(calls: Sequence[ToolCallDelta]) -> list[dict[str, Any]]:
    """One entry a call, since clients that put deltas together take the first list as it is."""
    made: dict[int, dict[str, Any]] = {}
    for call in calls:
        entry = made.get(call.index)
        if entry is None:
            entry = made[call.index] = {"index": call.index, "function": {"arguments": ""}}
        if call.id is not None:
            entry["id"], entry["type"] = call.id, "function"
        if call.name is not None:
            entry["function"]["name"] = call.name
        entry["function"]["arguments"] += call.arguments
    return list(made.values())
