"""Writing the body of a streamed response at once, without a coroutine for each piece.

ASGI's `send` is awaited through every layer of the framework for each piece of a body. A response of many
small pieces takes this way instead: after its first piece went through `send`, it writes to the connection
itself, in the same framing (RFC 9112, section 7.1), and ends through `send` again.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl

EXTENSION = "pagoda.body_writer"  #: in the scope's extensions, where the server offers one


class BodyWriter:
    """Of one request; usable while its response has begun, has no length and has not ended."""

    def __init__(self, transport: asyncio.Transport, flow: FlowControl) -> None:
        self._transport = transport
        self._flow = flow

    @property
    def gone(self) -> bool:
        """Whether the connection is being closed: then nothing may be written any more."""
        return self._transport.is_closing()

    @property
    def free(self) -> bool:
        """Whether something may be written: the client is there and reads fast enough."""
        return not (self._flow.write_paused or self._transport.is_closing())

    async def drained(self) -> None:
        """Waits until a client that was too slow has read on."""
        await self._flow.drain()

    def write(self, data: bytes) -> None:
        """Sends a piece."""
        if data:  # an empty one would be the end
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))


class BodyWriters:
    """Outermost layer of an app that uvicorn runs: puts a `BodyWriter` into the scope of requests whose
    responses can be sent in chunks.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["http_version"] == "1.1" and scope["method"] != "HEAD":
            cycle = getattr(send, "__self__", None)  # uvicorn's, whose method `send` is
            transport, flow = getattr(cycle, "transport", None), getattr(cycle, "flow", None)
            if isinstance(transport, asyncio.Transport) and isinstance(flow, FlowControl):
                scope.setdefault("extensions", {})[EXTENSION] = BodyWriter(transport, flow)
        await self._app(scope, receive, send)
