"""Keeps an engine process alive and its requests going.

When the process dies, it is started again and what it was working on is replayed: prompt and tokens already
delivered go to the new process, which computes their cache again and continues. As a request's draws depend
on its seed and position alone, the stream goes on as if nothing had happened.

A request may be what kills the engine. So replayed requests go one at a time, each when the one before has
given news: a death in between is the fault of the one on trial. If the engine dies while no one is on trial,
every request it had is under suspicion. The second time in a row that falls on a request, it fails with the
reason.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from pagoda.engine.config import EngineConfig, EngineInfo, EngineStats
from pagoda.engine.connection import EngineConnection
from pagoda.engine.launcher import EngineProcess
from pagoda.engine.messages import (
    AbortRequest,
    AddRequest,
    EngineReport,
    Failed,
    LoadProgress,
    Ready,
    ResetPrefixCache,
    Shutdown,
    StepOutput,
    TokenDelta,
)

Status = Literal["starting", "ready", "degraded", "dead"]

MAX_CRASHES = 2  #: in a row, of which a request is suspected, before it fails
CALM_SECONDS = 60.0  #: an engine that ran so long was well; suspicion and waiting times start anew
MAX_FAILED_STARTS = 3  #: restarts in a row that do not get as far as Ready
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 10.0
_PATIENCE = 2.0  #: seconds that a process gets to end by itself


class EngineStartError(RuntimeError):
    """The engine cannot start; the message is one line."""


class EngineDeadError(RuntimeError):
    """The engine has stopped for good; the message is one line."""


@dataclass(slots=True)
class _Live:
    """A request that has not ended: what to tell a new engine, and whom to tell the news."""

    command: AddRequest
    deliver: Callable[[TokenDelta], None]
    generated: list[int] = field(default_factory=list)
    crashes: int = 0
    sent: bool = False  # to the process that runs now

    def fail(self, reason: str) -> None:
        self.deliver(TokenDelta(self.command.request_id, [], "error", error=reason))


class EngineSupervisor:
    """Owns the engine process. `start` may be called before there is an event loop; everything else runs in
    one.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.status: Status = "starting"
        self.status_reason: str | None = None
        self.info: EngineInfo | None = None
        self.stats = EngineStats()
        self.on_progress: Callable[[int, int], None] | None = None
        self._config = config
        self._live: dict[str, _Live] = {}
        self._trials: deque[str] = deque()  # requests to replay; the first is on trial once it is sent
        self._process: EngineProcess | None = None
        self._connection: EngineConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._started: asyncio.Future[EngineInfo] | None = None
        self._ready_at: float | None = None
        self._failure: str | None = None
        self._restarts = 0
        self._failed_starts = 0
        self._delay = 0.0
        self._past = EngineStats()  # counters of processes that are gone

    def start(self) -> None:
        """Starts the process; returns at once."""
        self._process = EngineProcess.start(self._config)

    async def wait_ready(self) -> EngineInfo:
        """Waits until the model is loaded. Raises EngineStartError."""
        if self._task is None:
            self._started = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(), name="pagoda-engine-supervisor")
        if self._started is None:
            raise EngineStartError("the engine was shut down")
        return await asyncio.shield(self._started)

    def add(self, command: AddRequest, deliver: Callable[[TokenDelta], None]) -> None:
        """Queues a request; its news go to `deliver`. Raises EngineDeadError."""
        if self.status == "dead":
            raise EngineDeadError(self.status_reason or "the engine has stopped")
        live = _Live(command, deliver)
        self._live[command.request_id] = live
        if self._connection is not None and self.status == "ready" and not self._trials:
            self._send(live)

    def abort(self, request_id: str) -> None:
        """Forgets a request and frees what it holds in the engine."""
        live = self._live.pop(request_id, None)
        if live is not None and live.sent and self._connection is not None:
            self._connection.send(AbortRequest(request_id))
        self._end_trial(request_id)

    def reset_prefix_cache(self) -> None:
        """Forgets cached blocks that no running request holds."""
        if self._connection is not None:
            self._connection.send(ResetPrefixCache())

    async def shutdown(self) -> None:
        """Ends the engine process; requests that run end with finish_reason "abort"."""
        patience = _PATIENCE if self.status == "ready" else 0.0  # one that is loading does not listen
        self._set_status("dead", "the engine was shut down")
        if self._started is not None and not self._started.done():
            self._started.cancel()
        for live in list(self._live.values()):
            live.deliver(TokenDelta(live.command.request_id, [], "abort"))
        self._live.clear()
        self._trials.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._connection is not None:
            self._connection.send(Shutdown())
            await self._connection.close()
        if self._process is not None:
            self._process.connection.close()
            await asyncio.to_thread(self._process.end, patience)
            self._process = None

    async def _run(self) -> None:
        """The life of one process after the other, until the engine is dead for good."""
        while True:
            reason = await self._serve_one()
            if self._ready_at is None:
                self._failed_starts += 1
                if self.info is None or self._failed_starts >= MAX_FAILED_STARTS:
                    self._give_up(reason)
                    return
            self._judge(reason)
            self._set_status("degraded", f"{reason}; it is being restarted")
            await asyncio.sleep(self._next_delay())
            self._restarts += 1
            self.start()

    async def _serve_one(self) -> str:
        """Speaks with the process until it is gone; returns why it went."""
        process = self._process
        if process is None:
            raise EngineDeadError("no engine process was started")
        self._ready_at = self._failure = None
        self._connection = await EngineConnection.open(process.connection, self._on_report)
        await self._connection.closed.wait()
        self._connection = None
        await asyncio.to_thread(process.end, _PATIENCE)
        return self._failure or f"the engine process {process.death_reason()}"

    def _on_report(self, report: EngineReport) -> None:
        match report:
            case StepOutput(deltas=deltas, stats=stats):
                self._take_stats(stats)
                for delta in deltas:
                    self._route(delta)
            case Ready(info=info):
                self._become_ready(info)
            case LoadProgress(done=done, total=total):
                if self.on_progress is not None:
                    self.on_progress(done, total)
            case Failed(message=message, user_error=user_error):
                self._failure = message if user_error else f"the engine failed: {message}"

    def _route(self, delta: TokenDelta) -> None:
        live = self._live.get(delta.request_id)
        if live is None:
            return
        live.generated += delta.token_ids
        if delta.finish_reason is not None:
            del self._live[delta.request_id]
        live.deliver(delta)
        self._end_trial(delta.request_id)

    def _become_ready(self, info: EngineInfo) -> None:
        self.info = info
        self._ready_at = time.monotonic()
        self._failed_starts = 0
        self._set_status("ready", None)
        if self._started is not None and not self._started.done():
            self._started.set_result(info)
        self._next_trial()

    def _send(self, live: _Live) -> None:
        if self._connection is None:
            return
        live.sent = True
        command = live.command
        if live.generated:
            command = msgspec.structs.replace(command, generated=live.generated)
        self._connection.send(command)

    def _next_trial(self) -> None:
        """Sends the next request to replay; when none is left, everything that has come in the meantime."""
        if self._trials:
            self._send(self._live[self._trials[0]])
            return
        for live in self._live.values():
            if not live.sent:
                self._send(live)

    def _end_trial(self, request_id: str) -> None:
        if not self._trials or self.status != "ready":
            if request_id in self._trials:
                self._trials.remove(request_id)
            return
        if self._trials[0] == request_id:
            self._trials.popleft()
            self._next_trial()
        elif request_id not in self._live and request_id in self._trials:
            self._trials.remove(request_id)

    def _judge(self, reason: str) -> None:
        """After a death: who is suspected of it, who has failed, and in which order the others are
        replayed.
        """
        if self._ready_at is not None:
            if time.monotonic() - self._ready_at > CALM_SECONDS:
                self._delay = 0.0
                for live in self._live.values():
                    live.crashes = 0
            if self._trials:
                suspects = [self._live[self._trials[0]]]
            else:
                suspects = [live for live in self._live.values() if live.sent]
            for live in suspects:
                live.crashes += 1
                if live.crashes >= MAX_CRASHES:
                    del self._live[live.command.request_id]
                    error = f"{reason} {live.crashes} times in a row while it worked on this request"
                    live.fail(error)
        # Who waits for a trial comes first, then who was running; what was never sent follows freely.
        started = [key for key, live in self._live.items() if live.sent and key not in self._trials]
        self._trials = deque([key for key in self._trials if key in self._live] + started)
        for live in self._live.values():
            live.sent = False
        self._past = msgspec.structs.replace(self.stats, num_requests_running=0, kv_cache_usage=0.0)
        self.stats = self._past

    def _next_delay(self) -> float:
        """At once after a first death, then longer and longer while they follow each other."""
        delay, self._delay = self._delay, min(max(_FIRST_DELAY, 2 * self._delay), _LONGEST_DELAY)
        return delay

    def _give_up(self, reason: str) -> None:
        self._set_status("dead", reason)
        if self._started is not None and not self._started.done():
            self._started.set_exception(EngineStartError(reason))
            self._started.exception()  # nobody may be waiting
        for live in list(self._live.values()):
            error = f"the engine has stopped: {reason}"
            live.fail(error)
        self._live.clear()

    def _take_stats(self, stats: EngineStats) -> None:
        past = self._past
        self.stats = msgspec.structs.replace(
            stats,
            prompt_tokens=stats.prompt_tokens + past.prompt_tokens,
            generation_tokens=stats.generation_tokens + past.generation_tokens,
            prefix_cache_queries=stats.prefix_cache_queries + past.prefix_cache_queries,
            prefix_cache_hits=stats.prefix_cache_hits + past.prefix_cache_hits,
            num_preemptions=stats.num_preemptions + past.num_preemptions,
            steps=stats.steps + past.steps,
            restarts=self._restarts,
        )

    def _set_status(self, status: Status, reason: str | None) -> None:
        self.status = status
        self.status_reason = reason
