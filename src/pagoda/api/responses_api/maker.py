"""Makes one response: runs its chat and tells of it in numbered events."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from pagoda.api.chat_run import ChatPiece, ChatRun
from pagoda.api.engine_errors import as_api_error
from pagoda.api.errors import ApiError
from pagoda.api.named_events import named_event
from pagoda.api.responses_api.output import Event, OutputBuilder
from pagoda.api.responses_api.response import ResponseState, response_usage

_log = logging.getLogger(__name__)


class ResponseMaker:
    """One response while it is made. `state` says at any time how far it is.

    on_end: awaited once with the last events when the answer has ended by itself, before they are given. It
    says whether they may be given as they are; else the last one is written anew from the state.
    """

    def __init__(
        self,
        run: ChatRun,
        state: ResponseState,
        builder: OutputBuilder,
        on_end: Callable[[list[bytes]], Awaitable[bool]],
    ) -> None:
        self.run = run
        self.state = state
        self.failure: ApiError | None = None
        self._builder = builder
        self._on_end = on_end
        self._number = 0
        state.output = builder.items

    async def events(self) -> AsyncGenerator[list[bytes], None]:
        """The events, those that came together in one list; a failure is told as an event and raises nothing.

        Closing it frees the chat in the engine and leaves the state as it is.
        """
        begin = "queued" if self.state.status == "queued" else "in_progress"
        first = [self._event("response.created", response=self.state.shown())]
        first.append(self._event(f"response.{begin}", response=self.state.shown()))
        yield first
        if begin == "queued":
            self.state.status = "in_progress"
            yield [self._event("response.in_progress", response=self.state.shown())]
        last: ChatPiece | None = None
        try:
            async with aclosing(self.run.pieces()) as news:
                async for pieces in news:
                    found: list[Event] = []
                    for piece in pieces:
                        found += self._builder.push(piece.delta, _text_logprobs(piece))
                        last = piece
                    if found:
                        yield self._numbered(found)
        except Exception as error:
            self.failure = as_api_error(error, _log)
        events = self._numbered(self._end(last.finish_reason if last is not None else None))
        events.append(self._last_event())
        if not await self._on_end(events):
            self._number -= 1
            events[-1] = self._last_event()
        yield events

    def give_up(self, failure: ApiError | None) -> list[bytes]:
        """Ends the response early: as cancelled, or failed for that reason. Gives the events that say so."""
        self.failure = failure
        if failure is None:
            self._count()
            self._builder.finish(complete=False)
            self.state.end("cancelled")
            return []
        return [*self._numbered(self._end(None)), self._last_event()]

    def _end(self, finish_reason: str | None) -> list[Event]:
        if self.failure is None and finish_reason not in ("stop", "tool_calls", "length"):
            self.failure = ApiError(500, "The engine ended this response before it was complete.")
        self._count()
        complete = self.failure is None and finish_reason != "length"
        events = self._builder.finish(complete=complete)
        if self.failure is not None:
            self.state.fail(self.failure.message)
            code = self.state.error["code"] if self.state.error else None
            told = {"code": code, "message": self.failure.message, "param": self.failure.param}
            events.append({"type": "error", **told})
        elif complete:
            self.state.end("completed")
        else:
            self.state.end("incomplete")
            self.state.incomplete_reason = "max_output_tokens"
        return events

    def _count(self) -> None:
        self.state.usage = response_usage(self.run.account.usage())

    def _last_event(self) -> bytes:
        return self._event(f"response.{self.state.status}", response=self.state.shown())

    def _numbered(self, events: list[Event]) -> list[bytes]:
        return [self._encoded(event) for event in events]

    def _event(self, kind: str, **fields: Any) -> bytes:
        return self._encoded({"type": kind, **fields})

    def _encoded(self, event: Event) -> bytes:
        number = self._number
        self._number += 1
        return named_event({**event, "sequence_number": number})


def _text_logprobs(piece: ChatPiece) -> Mapping[str, Any] | None:
    """Those of tokens that are text: without the one that ends the answer."""
    ended = piece.finish_reason in ("stop", "tool_calls") and not isinstance(piece.stop_reason, str)
    if piece.logprobs is None or not ended:
        return piece.logprobs
    return {"content": piece.logprobs["content"][:-1]}
