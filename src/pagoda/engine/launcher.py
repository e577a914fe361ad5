"""Starts engine processes and says what became of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

import pagoda
from pagoda.engine.config import EngineConfig
from pagoda.engine.link import encode_frame
from pagoda.engine.memory import oom_kills

_SOCKET_BUFFER = 1 << 20
_LONGEST_LINE = 1 << 16


@dataclass(slots=True)
class EngineProcess:
    """A started engine: its process, our end of the socket pair, and the kernel's count of memory kills
    before it.
    """

    process: subprocess.Popen[bytes]
    connection: socket.socket
    oom_kills_before: int | None

    @classmethod
    def start(
        cls,
        config: EngineConfig,
        program: Sequence[str] = ("-m", "pagoda.engine.process"),
        told: Callable[[str], None] | None = None,
    ) -> EngineProcess:
        """Starts an engine and sends it its configuration; does not wait for anything.

        program: what Python runs, given the number of the socket as its argument. told: gets the lines that
        it writes on standard error, in a thread, beside our own standard error.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
            process = subprocess.Popen(
                [sys.executable, "-P", *program, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stderr=None if told is None else subprocess.PIPE,
                env=_environment(),
            )
        if told is not None and process.stderr is not None:
            Thread(target=_pass_on, args=(process.stderr, told), name="engine's words", daemon=True).start()
        ours.sendall(encode_frame(config))
        return cls(process, ours, oom_kills())

    def end(self, timeout: float) -> None:
        """Kills the process unless it ends by itself within `timeout` seconds, and reaps it."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def death_reason(self) -> str:
        """Why a process that is dead has died: a phrase that follows "the engine process"."""
        code = self.process.returncode
        if code is None:
            return "closed its connection"
        if code == -signal.SIGKILL:
            kills = oom_kills()
            if kills is not None and self.oom_kills_before is not None and kills > self.oom_kills_before:
                return "was killed by the kernel because memory ran out"
            return "was killed (signal SIGKILL; the usual cause is that memory ran out)"
        if code < 0:
            return f"crashed (signal {_signal_name(-code)})"
        return f"ended with exit status {code}"


def _pass_on(stream: IO[bytes], told: Callable[[str], None]) -> None:
    """Until the process has ended."""
    with stream:
        while line := stream.readline(_LONGEST_LINE):
            text = line.decode(errors="replace")
            sys.stderr.write(text)
            sys.stderr.flush()
            told(text.rstrip("\n"))


def _environment() -> dict[str, str]:
    package_home = str(Path(pagoda.__file__).resolve().parent.parent)
    paths = [package_home, *filter(None, [os.environ.get("PYTHONPATH")])]
    # The engine has threads of its own; those of NumPy's BLAS would only take memory.
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
