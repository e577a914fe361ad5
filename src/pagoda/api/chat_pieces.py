"""News of a chat's answers, and whole answers put together from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pagoda.text.parsing import MessageDelta


@dataclass(slots=True)
class ChatPiece:
    """News of one answer. With a finish_reason it is the answer's last."""

    index: int
    delta: MessageDelta
    logprobs: dict[str, Any] | None  #: of the new tokens, as chat choices write them; None if not asked for
    token_ids: list[int]
    finish_reason: str | None = None  #: stop, length, tool_calls or abort
    stop_reason: int | str | None = None


@dataclass(slots=True)
class ChatAnswer:
    """One whole answer.

    content: None where there is reasoning or a tool call and no text. tool_calls: objects as messages hold
    them (id, type, function with name and arguments).
    """

    index: int
    content: str | None
    reasoning: str | None
    tool_calls: list[dict[str, Any]]
    logprobs: dict[str, Any] | None
    finish_reason: str | None
    stop_reason: int | str | None
    token_ids: list[int]


def chunk_of(head: Mapping[str, Any], piece: ChatPiece) -> dict[str, Any]:
    """The chat.completion.chunk of a piece. head: its id, created and model."""
    delta: dict[str, Any] = {}
    if piece.delta.content:
        delta["content"] = piece.delta.content
    if piece.delta.reasoning:
        delta["reasoning_content"] = piece.delta.reasoning
    if piece.delta.tool_calls:
        delta["tool_calls"] = [
            {
                "index": call.index,
                **({"id": call.id, "type": "function"} if call.id else {}),
                "function": {**({"name": call.name} if call.name else {}), "arguments": call.arguments},
            }
            for call in piece.delta.tool_calls
        ]
    choice = {"index": piece.index, "delta": delta, "finish_reason": piece.finish_reason}
    return {**head, "object": "chat.completion.chunk", "choices": [choice]}


def joined(first: MessageDelta, second: MessageDelta) -> MessageDelta:
    """Both as one."""
    return MessageDelta(
        first.reasoning + second.reasoning,
        first.content + second.content,
        first.tool_calls + second.tool_calls,
    )


class CollectedAnswer:
    """Puts the pieces of one answer together."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._token_ids: list[int] = []
        self._logprobs: dict[str, Any] | None = None
        self._last: ChatPiece | None = None

    def add(self, piece: ChatPiece) -> None:
        """Takes the next piece."""
        self._last = piece
        self._content.append(piece.delta.content)
        self._reasoning.append(piece.delta.reasoning)
        self._token_ids += piece.token_ids
        if piece.logprobs is not None:
            if self._logprobs is None:
                self._logprobs = {"content": [], "refusal": None}
            self._logprobs["content"] += piece.logprobs["content"]
        for call in piece.delta.tool_calls:
            found = self._calls.setdefault(
                call.index, {"id": None, "type": "function", "function": {"name": "", "arguments": ""}}
            )
            found["id"] = call.id or found["id"]
            found["function"]["name"] = call.name or found["function"]["name"]
            found["function"]["arguments"] += call.arguments

    def answer(self, index: int) -> ChatAnswer:
        """What the pieces make, at this place among the answers."""
        content, reasoning = "".join(self._content), "".join(self._reasoning)
        calls = [self._calls[index] for index in sorted(self._calls)]
        return ChatAnswer(
            index=index,
            content=content or (None if reasoning or calls else ""),
            reasoning=reasoning or None,
            tool_calls=calls,
            logprobs=self._logprobs,
            finish_reason=self._last.finish_reason if self._last else None,
            stop_reason=self._last.stop_reason if self._last else None,
            token_ids=self._token_ids,
        )
