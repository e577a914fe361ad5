"""Runs the chat behind one message: the whole message, or its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from pagoda.api.chat_run import ChatPiece, ChatRun
from pagoda.api.errors import ApiError
from pagoda.api.messages_api.blocks import BlockBuilder, Event
from pagoda.api.messages_api.errors import messages_error
from pagoda.api.named_events import named_event

PING_SECONDS = 10.0  #: without news a stream says that it lives; proxies cut what is silent for a minute
_PING = named_event({"type": "ping"})


@dataclass(slots=True)
class MessageRun:
    """A validated message on its way.

    model: the name in the message; clients give thinking back only to the model they asked. fitted: its limit
    is the end of the context.
    """

    run: ChatRun
    model: str
    builder: BlockBuilder
    fitted: bool

    def close(self) -> None:
        self.run.close()

    async def whole(self) -> dict[str, Any]:
        """The message. Raises ApiError."""
        last: ChatPiece | None = None
        async with aclosing(self.run.pieces()) as news:
            async for pieces in news:
                for piece in pieces:
                    self.builder.push(piece.delta)
                    last = piece
        self.builder.finish()
        stop_reason, stop_sequence = self._stop(last)
        return {
            **self._head(),
            "content": self.builder.blocks,
            "stop_reason": stop_reason,
            "stop_sequence": stop_sequence,
            "usage": self._usage(),
        }

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The stream. It begins with the first news of the engine, or when those let wait for them. Raises
        ApiError.
        """
        begun = False
        last: ChatPiece | None = None
        async with aclosing(with_pauses(self.run.pieces(), PING_SECONDS)) as news:
            async for pieces in news:
                parts: list[bytes] = []
                if not begun:
                    begun = True
                    parts.append(self._message_start())
                if pieces is None:
                    parts.append(_PING)
                for piece in pieces or ():
                    parts += map(named_event, self.builder.push(piece.delta))
                    last = piece
                if data := b"".join(parts):
                    yield data
        stop_reason, stop_sequence = self._stop(last)
        ends: list[Event] = self.builder.finish()
        delta = {"stop_reason": stop_reason, "stop_sequence": stop_sequence}
        ends.append({"type": "message_delta", "delta": delta, "usage": self._usage()})
        ends.append({"type": "message_stop"})
        yield b"".join(map(named_event, ends))

    def _message_start(self) -> bytes:
        usage = {**self._usage(), "output_tokens": 0}
        empty: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        return named_event({"type": "message_start", "message": {**self._head(), **empty}})

    def _head(self) -> dict[str, Any]:
        identity = f"msg_{self.run.id.partition('-')[2] or token_hex(12)}"
        return {"id": identity, "type": "message", "role": "assistant", "model": self.model}

    def _usage(self) -> dict[str, Any]:
        usage = self.run.account.usage()
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        thinking = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
        return {
            "input_tokens": usage["prompt_tokens"] - cached,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": cached,
            "output_tokens": usage["completion_tokens"],
            "output_tokens_details": {"thinking_tokens": thinking},
        }

    def _stop(self, last: ChatPiece | None) -> tuple[str, str | None]:
        """stop_reason and stop_sequence. Raises ApiError for an answer that did not end by itself."""
        reason = last.finish_reason if last is not None else None
        if last is None or reason not in ("stop", "tool_calls", "length"):
            raise ApiError(500, "The engine ended this message before it was complete.")
        if reason == "length":
            return ("model_context_window_exceeded" if self.fitted else "max_tokens"), None
        if self.builder.has_calls:
            return "tool_use", None
        if isinstance(last.stop_reason, str):
            return "stop_sequence", last.stop_reason
        return "end_turn", None


def error_event(error: ApiError) -> bytes:
    """How a stream of messages ends when it fails."""
    return named_event(messages_error(error.status_code, error.message)[1])


async def with_pauses(
    news: AsyncGenerator[list[ChatPiece], None], seconds: float
) -> AsyncGenerator[list[ChatPiece] | None, None]:
    """What `news` gives, and None for every so many seconds in which it gives nothing."""
    async with aclosing(news):
        while True:
            following = asyncio.ensure_future(anext(news, None))
            try:
                while not (await asyncio.wait({following}, timeout=seconds))[0]:
                    yield None
            finally:
                if not following.done():
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
            pieces = following.result()
            if pieces is None:
                return
            yield pieces
