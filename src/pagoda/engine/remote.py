"""An engine in a process of its own, with the methods of `EngineCore` and without an event loop (for
scripts).
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable

import msgspec

from pagoda.engine.config import EngineConfig, EngineInfo, EngineStats
from pagoda.engine.errors import EngineDeadError, EngineStartError
from pagoda.engine.launcher import EngineProcess
from pagoda.engine.link import FrameReader, encode_frame
from pagoda.engine.messages import (
    AbortRequest,
    AddRequest,
    EngineCommand,
    EngineReport,
    Failed,
    LoadProgress,
    Ready,
    ResetPrefixCache,
    StepOutput,
)

_CHUNK = 1 << 18
_PATIENCE = 2.0  #: seconds that the process gets to end by itself


class RemoteEngine:
    """Starts an engine process and waits until it is ready. It ends with this object.

    Raises EngineStartError when the model cannot be served; `step` raises EngineDeadError when the process
    dies.
    """

    def __init__(self, config: EngineConfig, progress: Callable[[int, int], None] | None = None) -> None:
        self._process = EngineProcess.start(config)
        self._close = weakref.finalize(self, _end, self._process)
        self._reader = FrameReader()
        self._frames: deque[bytes] = deque()
        self._reports = msgspec.msgpack.Decoder(EngineReport)
        self._open: set[str] = set()
        self._failure: str | None = None
        self._stats = EngineStats()
        self.info: EngineInfo = self._wait_ready(progress)

    def add_request(self, command: AddRequest) -> None:
        """Puts a request in line."""
        self._open.add(command.request_id)
        self._send(command)

    def abort(self, request_id: str) -> None:
        """Frees a request; ids that are not known are ignored."""
        self._open.discard(request_id)
        self._send(AbortRequest(request_id))

    def reset_prefix_cache(self) -> None:
        """Forgets every cached block that no running request holds."""
        self._send(ResetPrefixCache())

    def has_work(self) -> bool:
        """Whether requests are open, so that `step` has news to wait for."""
        return bool(self._open)

    def step(self) -> StepOutput:
        """Waits for the news of the next step. Raises EngineDeadError."""
        while True:
            report = self._receive()
            match report:
                case StepOutput(deltas=deltas, stats=stats):
                    self._open -= {delta.request_id for delta in deltas if delta.finish_reason is not None}
                    self._stats = stats
                    return report
                case Failed(message=message):
                    self._failure = f"the engine failed: {message}"
                case Ready() | LoadProgress():
                    pass

    def stats(self) -> EngineStats:
        """Counters and gauges after the last step that `step` told of."""
        return self._stats

    def close(self) -> None:
        """Ends the process; it is also ended with this object."""
        self._close()

    def _wait_ready(self, progress: Callable[[int, int], None] | None) -> EngineInfo:
        while True:
            try:
                report = self._receive()
            except EngineDeadError as error:
                self._close()
                raise EngineStartError(str(error)) from error
            match report:
                case Ready(info=info):
                    return info
                case LoadProgress(done=done, total=total):
                    if progress is not None:
                        progress(done, total)
                case Failed(message=message):
                    self._failure = message
                case StepOutput():
                    pass

    def _send(self, command: EngineCommand) -> None:
        try:
            self._process.connection.sendall(encode_frame(command))
        except OSError as error:
            raise EngineDeadError(self._reason()) from error

    def _receive(self) -> EngineReport:
        while not self._frames:
            try:
                data = self._process.connection.recv(_CHUNK)
            except OSError:
                data = b""
            if not data:
                raise EngineDeadError(self._reason())
            self._frames += self._reader.feed(data)
        report: EngineReport = self._reports.decode(self._frames.popleft())
        return report

    def _reason(self) -> str:
        self._open.clear()
        self._process.end(_PATIENCE)
        return self._failure or f"the engine process {self._process.death_reason()}"


def _end(process: EngineProcess) -> None:
    process.connection.close()
    process.end(_PATIENCE)
