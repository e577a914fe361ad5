"""This process's end of the link to the server."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

import msgspec

from pagoda.workspace.functions.frames import PREFIX, encode_frame
from pagoda.workspace.functions.messages import Answer, ProcessMessage, Question, ServerMessage

CALL: ContextVar[tuple[str, int] | None] = ContextVar("CALL", default=None)  #: function and call at work here
_CHUNK = 1 << 18


class QuestionError(RuntimeError):
    """The server cannot answer what a function asked."""


class Peer:
    """Sends from any thread; one thread reads. Answers to questions go straight to who asked."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()
        self._ids = itertools.count(1)
        self._asked: dict[int, Future[Any]] = {}
        self._decoder: msgspec.msgpack.Decoder[ServerMessage] = msgspec.msgpack.Decoder(ServerMessage)

    def send(self, message: ProcessMessage) -> None:
        """Raises FrameError for what cannot travel, OSError when the server is gone."""
        frame = encode_frame(message)
        with self._sending:
            self._socket.sendall(frame)

    def ask(self, what: str, **arguments: Any) -> Future[Any]:
        """A question on behalf of the call at work here. Its result raises QuestionError."""
        number = next(self._ids)
        future: Future[Any] = Future()
        self._asked[number] = future
        call = CALL.get()
        self.send(Question(number, None if call is None else call[1], what, arguments))
        return future

    def messages(self) -> Iterator[ServerMessage]:
        """What the server tells, until it is gone."""
        buffer = bytearray()
        while data := self._receive():
            buffer += data
            while len(buffer) >= PREFIX:
                end = PREFIX + int.from_bytes(buffer[:PREFIX], "little")
                if len(buffer) < end:
                    break
                message = self._decoder.decode(buffer[PREFIX:end])
                del buffer[:end]
                if isinstance(message, Answer):
                    self._answer(message)
                else:
                    yield message

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_CHUNK)
        except OSError:
            return b""

    def _answer(self, answer: Answer) -> None:
        future = self._asked.pop(answer.id, None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if answer.error is None:
            future.set_result(answer.value)
        else:
            future.set_exception(QuestionError(answer.error))


class Installed:
    """The one peer of this process, for modules that functions import by name."""

    peer: Peer | None = None


def peer() -> Peer:
    """Raises RuntimeError outside the plugin process."""
    if Installed.peer is None:
        raise RuntimeError("this module works inside the plugin process alone")
    return Installed.peer


def ask_now(what: str, **arguments: Any) -> Any:
    """Asks and waits, in whatever thread. The reader is another one, so event loops may wait here too."""
    return peer().ask(what, **arguments).result()
