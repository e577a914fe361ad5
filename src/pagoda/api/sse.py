"""Server-sent events: a response that streams while its client listens, and always ends in order."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pagoda.api.connection import ClientGoneError, ShuttingDownError, run_while_connected
from pagoda.api.engine_errors import as_api_error
from pagoda.api.errors import ApiError, unavailable
from pagoda.api.state import ServerState

DONE = b"data: [DONE]\n\n"
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_log = logging.getLogger(__name__)


def event(content: Any) -> bytes:
    """One event with `content` as JSON."""
    return b"data: " + msgspec.json.encode(content) + b"\n\n"


def error_event(error: ApiError) -> bytes:
    """How a stream of the completion APIs ends when it fails."""
    return event(error.body()) + DONE


class EventStream(Response):
    """Sends what `events` yields (whole events, several at once where they come together) as it comes.

    The status is sent with the first event, so what fails before is an ordinary error response. A failure
    later, or the server's end, is an error event; [DONE] is the last in every case. A client that goes away
    closes `events` at once.

    on_close: called once when the response has ended, also when the stream never began. error_event: how a
    failure in mid-stream is written, everything that then ends the stream included.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        state: ServerState,
        *,
        on_close: Callable[[], None] | None = None,
        error_event: Callable[[ApiError], bytes] = error_event,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(None, headers={**_HEADERS, **(headers or {})})
        del self.headers["content-length"]
        self._events = events
        self._state = state
        self._on_close = on_close
        self._error_event = error_event
        self._started = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._stream(receive, send)
        finally:
            if self._on_close is not None:
                self._on_close()

    async def _stream(self, receive: Receive, send: Send) -> None:
        try:
            await run_while_connected(self._send_events(send), receive, self._state.draining)
        except ClientGoneError:
            return
        except ShuttingDownError as error:
            if not self._started:
                raise unavailable("The server is shutting down.") from error
            await self._send_error(send, unavailable("The server is shutting down."))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            try:
                async for data in events:
                    if not self._started:
                        self._started = True
                        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                        await send(start)
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            except Exception as error:
                if not self._started:
                    raise as_api_error(error) from error
                await self._send_error(send, as_api_error(error, _log))

    async def _send_error(self, send: Send, error: ApiError) -> None:
        await send({"type": "http.response.body", "body": self._error_event(error), "more_body": True})
