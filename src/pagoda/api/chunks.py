"""The chunks of a stream as bytes, ready to send.

A server spends its time here, once a token and request, so the parts that all chunks of an answer share are
encoded once, and the usual chunk (some text and nothing else) is put together without building objects.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pagoda.api.sse import event

_encode = msgspec.json.encode


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

    def role(self, index: int, prompt_token_ids: list[int] | None = None) -> bytes:
        """The first chunk of a chat answer, sent together with its first token."""
        delta = {"role": "assistant", "content": ""}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        extra = {} if prompt_token_ids is None else {"prompt_token_ids": prompt_token_ids}
        return event({**self._head, "choices": [choice], **extra})

    def text(self, index: int, text: str) -> bytes:
        """New text and nothing else."""
        return b"".join((self._before, b"%d" % index, self._middle, _encode(text), self._after))

    def full(
        self,
        index: int,
        text: str,
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
        if not self._chat:
            choice["text"] = text
        else:
            choice["delta"] = {"content": text} if text or finish_reason is None else {}
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
