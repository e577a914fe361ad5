"""The client's end of the link to an engine process, on asyncio."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import msgspec

from pagoda.engine.link import FrameReader, encode_frame
from pagoda.engine.messages import EngineCommand, EngineReport


class EngineConnection(asyncio.Protocol):
    """Sends commands and hands reports to a callback, in the order they came. `closed` is set at the end of
    stream.

    on_read: called after all reports that were read together; `reading` is true while they are handed over.
    """

    def __init__(self, on_report: Callable[[EngineReport], None], on_read: Callable[[], None]) -> None:
        self._on_report = on_report
        self._on_read = on_read
        self.reading = False
        self._reader = FrameReader()
        self._reports = msgspec.msgpack.Decoder(EngineReport)
        self._transport: asyncio.Transport | None = None
        self.closed = asyncio.Event()

    @classmethod
    async def open(
        cls,
        connection: socket.socket,
        on_report: Callable[[EngineReport], None],
        on_read: Callable[[], None] = lambda: None,
    ) -> EngineConnection:
        """Takes over our half of a socket pair."""
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        _, protocol = await loop.create_unix_connection(lambda: cls(on_report, on_read), sock=connection)
        return protocol

    def send(self, command: EngineCommand) -> None:
        """Queues a command; lost when the process is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_frame(command))

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        await self.closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.reading = True
        try:
            for body in self._reader.feed(data):
                self._on_report(self._reports.decode(body))
        finally:
            self.reading = False
            self._on_read()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.closed.set()
