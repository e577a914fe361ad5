"""Server-sent events: a response that streams while its client listens, and always ends in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Protocol

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pagoda.api.body_writer import EXTENSION, BodyWriter
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


class EventSource(Protocol):
    """Events that are told of by a call and taken at once: no task waits for each of them."""

    def start(self, on_news: Callable[[], None]) -> None:
        """Begins; `on_news` is called, later, whenever there is something to take."""
        ...

    def listen(self, on_news: Callable[[], None]) -> None:
        """Calls this one from now on."""
        ...

    def take(self) -> bytes:
        """Whole events of all that is new; may be empty. Raises what the stream fails with."""
        ...

    @property
    def finished(self) -> bool:
        """Whether `take` has given the last."""
        ...

    def close(self) -> None:
        """Gives up what goes on. May be called twice, and before `start`."""
        ...


class EventStream(Response):
    """Sends what `events` yields (whole events, several at once where they come together) as it comes.

    The status is sent with the first event, so what fails before is an ordinary error response. A failure
    later, or the server's end, is an error event; [DONE] is the last in every case. A client that goes away
    closes `events` at once. To a client that reads slowly an `EventSource` sends what has piled up as one.

    on_close: called once when the response has ended, also when the stream never began. error_event: how a
    failure in mid-stream is written, everything that then ends the stream included.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None] | EventSource,
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
        writer = scope.get("extensions", {}).get(EXTENSION)
        try:
            await self._stream(receive, send, writer)
        finally:
            if self._on_close is not None:
                self._on_close()

    async def _stream(self, receive: Receive, send: Send, writer: BodyWriter | None) -> None:
        try:
            await run_while_connected(self._send_events(send, writer), receive, self._state.draining)
        except ClientGoneError:
            return
        except ShuttingDownError as error:
            if not self._started:
                raise unavailable("The server is shutting down.") from error
            await self._send_error(send, unavailable("The server is shutting down."))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_events(self, send: Send, writer: BodyWriter | None) -> None:
        try:
            if isinstance(self._events, AsyncGenerator):
                async with aclosing(self._events) as events:
                    async for data in events:
                        if self._started and writer is not None and writer.free:
                            writer.write(data)
                        else:
                            await self._send(send, data)
            else:
                try:
                    await self._send_source(self._events, send, writer)
                finally:
                    self._events.close()
        except Exception as error:
            if not self._started:
                raise as_api_error(error) from error
            await self._send_error(send, as_api_error(error, _log))

    async def _send_source(self, source: EventSource, send: Send, writer: BodyWriter | None) -> None:
        news = asyncio.Event()
        source.start(news.set)
        while writer is None or not self._started:
            await news.wait()
            news.clear()
            if data := source.take():
                await self._send(send, data)
            if source.finished:
                return
        await _Pipe(source, writer).run()

    async def _send(self, send: Send, data: bytes) -> None:
        if not self._started:
            self._started = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": data, "more_body": True})

    async def _send_error(self, send: Send, error: ApiError) -> None:
        await send({"type": "http.response.body", "body": self._error_event(error), "more_body": True})


class _Pipe:
    """From a source to a connection, as long as the client reads; else the source joins what piles up."""

    def __init__(self, source: EventSource, writer: BodyWriter) -> None:
        self._source = source
        self._writer = writer
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until the source has ended. Raises what it fails with."""
        self._source.listen(self._pass_on)
        self._pass_on()  # what came since the last look
        try:
            await self._end
        finally:
            if self._waiting is not None:
                self._waiting.cancel()

    def _pass_on(self) -> None:
        if not self._writer.free:
            if self._waiting is None and not self._writer.gone:
                self._waiting = asyncio.ensure_future(self._wait())
            return
        if self._end.done():
            return
        try:
            self._writer.write(self._source.take())
            if self._source.finished:
                self._end.set_result(None)
        except Exception as error:
            self._end.set_exception(error)

    async def _wait(self) -> None:
        await self._writer.drained()
        self._waiting = None
        self._pass_on()
