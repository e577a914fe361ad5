"""Messages on a local stream socket: four bytes of length (little endian), then MessagePack.

Both ends hold one half of a socket pair, so the death of either process is an end of stream for the other.
"""

from __future__ import annotations

import select
import socket
from collections import deque

import msgspec

from pagoda.engine.config import EngineConfig
from pagoda.engine.messages import EngineCommand, EngineReport

_PREFIX = 4
_CHUNK = 1 << 18


class LinkClosedError(EOFError):
    """The other process is gone."""


def encode_frame(message: EngineCommand | EngineReport | EngineConfig) -> bytes:
    """A message as it travels."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(_PREFIX, "little") + body


class FrameReader:
    """Cuts a stream of bytes into the bodies of its frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Takes what has arrived; gives every complete frame."""
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _PREFIX:
            end = start + _PREFIX + int.from_bytes(self._buffer[start : start + _PREFIX], "little")
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[start + _PREFIX : end]))
            start = end
        del self._buffer[:start]
        return frames


class EngineLink:
    """The engine's end, blocking. Raises LinkClosedError once the other end is gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._reader = FrameReader()
        self._frames: deque[bytes] = deque()
        self._commands = msgspec.msgpack.Decoder(EngineCommand)
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def receive_config(self) -> EngineConfig:
        """The first message of a connection."""
        while not self._frames:
            self._read()
        return msgspec.msgpack.decode(self._frames.popleft(), type=EngineConfig)

    def receive(self, *, wait: bool) -> list[EngineCommand]:
        """The commands that have arrived; with `wait` sleeps until there is one."""
        while (wait and not self._frames) or self._poll.poll(0):
            self._read()
        commands = [self._commands.decode(frame) for frame in self._frames]
        self._frames.clear()
        return commands

    def send(self, report: EngineReport) -> None:
        try:
            self._socket.sendall(encode_frame(report))
        except OSError as error:
            raise LinkClosedError(str(error)) from error

    def _read(self) -> None:
        """Takes what has arrived; sleeps until there is something."""
        try:
            data = self._socket.recv(_CHUNK)
        except OSError as error:
            raise LinkClosedError(str(error)) from error
        if not data:
            raise LinkClosedError("end of stream")
        self._frames += self._reader.feed(data)
