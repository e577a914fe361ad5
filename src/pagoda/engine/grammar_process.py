"""A process that sees whether constraints can be compiled: one that hangs or crashes it harms nobody else.

The compiler's own limits do not hold for everything: schemas of a few kilobytes keep it busy for minutes,
and references that lead far overflow its stack.
"""

from __future__ import annotations

import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import msgspec

from pagoda.engine.structured_outputs import GrammarError, ParameterError, StructuredOutputsParams

_HEAD = struct.Struct("<I")
_STACK = 2 << 20  #: bytes, less than the engine's threads have: what passes here does not overflow there
_MEMORY = 2 << 30  #: bytes of addresses
_LONGEST = 30  #: seconds after which a check ends even if nobody waits for it any more
_START_SECONDS = 60.0


class GrammarProcess:
    """Checks one constraint after the other in a process of its own; for one thread at a time."""

    def __init__(self) -> None:
        """Raises OSError where no process can be started."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pagoda.engine.grammar_process", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._socket = ours
        ours.settimeout(_START_SECONDS)
        if _receive(ours) is None:
            self.close()
            raise OSError("the process that checks constraints does not start")

    def check(self, params: StructuredOutputsParams, seconds: float) -> None:
        """Raises GrammarError as check_grammar does, and for what takes longer than `seconds` or crashes the
        compiler; after these two the process has ended.
        """
        give_up = time.monotonic() + seconds
        try:
            self._socket.settimeout(seconds)
            _send(self._socket, msgspec.msgpack.encode(params))
            self._socket.settimeout(max(0.01, give_up - time.monotonic()))
            said = _receive(self._socket)
        except TimeoutError:
            self.close()
            message = f"The constraint takes longer than {seconds:g} s to compile; make it simpler."
            raise GrammarError(message) from None
        except OSError:
            said = None
        if said is None:
            self.close()
            raise GrammarError("The constraint is too complex to be compiled.")
        if said:
            raise GrammarError(said.decode())

    @property
    def alive(self) -> bool:
        """Whether it can check another."""
        return self._process.poll() is None

    def close(self) -> None:
        """Ends the process at once."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _send(to: socket.socket, body: bytes) -> None:
    to.sendall(_HEAD.pack(len(body)) + body)


def _receive(sender: socket.socket) -> bytes | None:
    """The next message, None where the other side has ended. Raises TimeoutError."""
    head = _read(sender, _HEAD.size)
    return None if head is None else _read(sender, _HEAD.unpack(head)[0])


def _read(sender: socket.socket, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        data = sender.recv(size - len(found))
        if not data:
            return None
        found += data
    return bytes(found)


def _serve(asker: socket.socket) -> None:
    from pagoda.engine.grammar import check_grammar

    check_grammar(StructuredOutputsParams(json_object=True))  # what is loaded late is there from now on
    _send(asker, b"")
    while (body := _receive(asker)) is not None:
        signal.setitimer(signal.ITIMER_REAL, _LONGEST)  # its signal ends the process
        said = ""
        try:
            check_grammar(msgspec.msgpack.decode(body, type=StructuredOutputsParams))
        except ParameterError as error:
            said = str(error)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(asker, said.encode("utf-8", "replace"))


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this one
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or hard > _MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=int(sys.argv[1])) as asker:
        threading.stack_size(_STACK)
        thread = threading.Thread(target=_serve, args=(asker,))
        thread.start()
        thread.join()


if __name__ == "__main__":
    _main()
