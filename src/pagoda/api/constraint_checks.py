"""Whether the constraints of requests can be compiled, told without harm to anybody else."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import msgspec

from pagoda.engine.grammar_process import GrammarProcess
from pagoda.engine.structured_outputs import StructuredOutputsParams

LONGEST_CHECK = 0.9  #: seconds in which a constraint must be compiled
_AT_ONCE = 4  #: checks; others wait
_REMEMBERED = 256  #: constraints that passed
_REMEMBERED_SIZE = 32 * 1024  #: bytes of the longest that is remembered


class ConstraintChecks:
    """Processes that compile constraints on trial, started as they are needed, and what has passed."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, "pagoda-check")
        self._idle: list[GrammarProcess] = []
        self._passed: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False

    async def check(self, params: StructuredOutputsParams) -> None:
        """Raises ParameterError for a constraint that cannot be compiled, or not in time."""
        key = msgspec.msgpack.encode(params)
        if key in self._passed:
            self._passed.move_to_end(key)
            return
        await asyncio.get_running_loop().run_in_executor(self._threads, self._check, params)
        if len(key) <= _REMEMBERED_SIZE:
            self._passed[key] = None
            if len(self._passed) > _REMEMBERED:
                self._passed.popitem(last=False)

    def close(self) -> None:
        """Ends the processes; checks that run are the last."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def _check(self, params: StructuredOutputsParams) -> None:
        with self._lock:
            process = self._idle.pop() if self._idle else None
        if process is None or not process.alive:
            process = GrammarProcess()
        try:
            process.check(params, LONGEST_CHECK)
        finally:
            with self._lock:
                kept = process.alive and not self._closed
                if kept:
                    self._idle.append(process)
            if not kept:
                process.close()
