"""Runs the chat behind one message: the whole message, or its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
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

    def begin(self) -> bytes:
        """The first event, with the counts that are known."""
        usage = {**self._usage(), "output_tokens": 0}
        empty: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        return named_event({"type": "message_start", "message": {**self._head(), **empty}})

    def end(self, last: ChatPiece | None) -> bytes:
        """The last events. Raises ApiError for an answer that did not end by itself."""
        stop_reason, stop_sequence = self._stop(last)
        ends: list[Event] = self.builder.finish()
        delta = {"stop_reason": stop_reason, "stop_sequence": stop_sequence}
        ends.append({"type": "message_delta", "delta": delta, "usage": self._usage()})
        ends.append({"type": "message_stop"})
        return b"".join(map(named_event, ends))

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


class MessageEvents:
    """An `EventSource`: the stream of one message.

    It begins with the first news of the engine, or when those let wait for them: after so many seconds
    without news a ping is sent.
    """

    def __init__(self, message: MessageRun, ping_seconds: float = PING_SECONDS) -> None:
        self._message = message
        self._seconds = ping_seconds
        self._on_news: Callable[[], None] = lambda: None
        self._timer: asyncio.TimerHandle | None = None
        self._latest = 0.0  #: when there was news
        self._begun = False
        self.finished = False

    def start(self, on_news: Callable[[], None]) -> None:
        self._on_news = on_news
        self._message.run.outputs.start(on_news)
        self._note_news()
        self._arm(self._seconds)

    def listen(self, on_news: Callable[[], None]) -> None:
        self._on_news = on_news
        self._message.run.outputs.listen(on_news)

    def take(self) -> bytes:
        run, builder = self._message.run, self._message.builder
        pieces = run.take()
        parts: list[bytes] = []
        if pieces:
            self._note_news()
        elif self._silence() >= self._seconds:
            self._note_news()
            parts.append(_PING)
        if not self._begun and (pieces or parts):
            self._begun = True
            parts.insert(0, self._message.begin())
        for piece in pieces:
            parts += map(named_event, builder.push(piece.delta))
        if pieces and run.finished:
            parts.append(self._message.end(pieces[-1]))
            self.finished = True
        return b"".join(parts)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._message.run.outputs.close()

    def _note_news(self) -> None:
        self._latest = asyncio.get_running_loop().time()

    def _silence(self) -> float:
        return asyncio.get_running_loop().time() - self._latest

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        """Has a ping taken where one is due; armed once for a silence, not once for each token."""
        rest = self._seconds - self._silence()
        self._arm(rest if rest > 0 else self._seconds)
        if rest <= 0:
            self._on_news()


async def streamed(message: MessageRun) -> AsyncGenerator[bytes, None]:
    """The same stream of a run with a hook, which takes its time with each piece. Raises ApiError."""
    last: ChatPiece | None = None
    begun = False
    async with aclosing(message.run.pieces()) as news:
        async for pieces in news:
            last = pieces[-1] if pieces else last
            found = [named_event(event) for piece in pieces for event in message.builder.push(piece.delta)]
            if not begun:
                found.insert(0, message.begin())
                begun = True
            if found:
                yield b"".join(found)
    yield message.end(last)


def error_event(error: ApiError) -> bytes:
    """How a stream of messages ends when it fails."""
    return named_event(messages_error(error.status_code, error.message)[1])
