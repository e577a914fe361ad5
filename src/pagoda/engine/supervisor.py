"""Keeps an engine process alive and its requests going.

When the process dies, it is started again and what it was working on is replayed: prompt and tokens already
delivered go to the new process, which computes their cache again and continues. As a request's draws depend
on its seed and position alone, the stream goes on as if nothing had happened. suspicion.py says who is to
blame.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from pagoda.engine.config import EngineConfig, EngineInfo, EngineStats
from pagoda.engine.connection import EngineConnection
from pagoda.engine.errors import EngineDeadError, EngineStartError
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
from pagoda.engine.suspicion import LiveRequest, Trials
from pagoda.engine.watchdog import Watchdog

__all__ = ["EngineDeadError", "EngineStartError", "EngineSupervisor", "Status"]

_log = logging.getLogger(__name__)

Status = Literal["starting", "ready", "degraded", "dead"]

CALM_SECONDS = 60.0  #: an engine that ran so long was well; suspicion and waiting times start anew
MAX_FAILED_STARTS = 3  #: restarts in a row that do not get as far as Ready
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 10.0
_PATIENCE = 2.0  #: seconds that a process gets to end by itself


class EngineSupervisor:
    """Owns the engine process. `start` needs no event loop; everything else runs in one.

    start_process: how a process is started (`EngineProcess.start`).
    """

    def __init__(
        self,
        config: EngineConfig,
        start_process: Callable[[EngineConfig], EngineProcess] = EngineProcess.start,
    ) -> None:
        self.status: Status = "starting"
        self.status_reason: str | None = None
        self.info: EngineInfo | None = None
        self.stats = EngineStats()
        self.on_progress: Callable[[int, int], None] | None = None
        self.on_read: Callable[[], None] = lambda: None  #: called after news that came together
        self.on_stats: Callable[[EngineStats, EngineStats], None] | None = None  #: counters before and after
        self._config = config
        self._start_process = start_process
        self._live: dict[str, LiveRequest] = {}
        self._in_engine: dict[str, LiveRequest] = {}  # by the engine's ids
        self._trials = Trials()
        self._process: EngineProcess | None = None
        self._connection: EngineConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._started: asyncio.Future[EngineInfo] | None = None
        self._ready_at: float | None = None
        self._failure: str | None = None
        self._watchdog = Watchdog(0.0, lambda: False, lambda: None)  # of the process that runs
        self._restarts = 0
        self._failed_starts = 0
        self._delay = 0.0
        self._past = EngineStats()  # counters of processes that are gone

    @property
    def reading(self) -> bool:
        """Whether news are being delivered, so that `on_read` follows."""
        return self._connection is not None and self._connection.reading

    @property
    def engine_pid(self) -> int | None:
        """The number of the process; None while there is none."""
        return None if self._process is None else self._process.process.pid

    def start(self) -> None:
        """Starts the process; returns at once."""
        self._process = self._start_process(self._config)

    async def wait_ready(self) -> EngineInfo:
        """Waits until the model is loaded. Raises EngineStartError."""
        if self.status == "dead":
            raise EngineStartError(self.status_reason or "the engine has stopped")
        if self._started is None:
            self._started = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(), name="pagoda-engine-supervisor")
        return await asyncio.shield(self._started)

    def add(self, command: AddRequest, deliver: Callable[[TokenDelta], None]) -> None:
        """Queues a request; its news go to `deliver`. Raises EngineDeadError."""
        if self.status == "dead":
            raise EngineDeadError(self.status_reason or "the engine has stopped")
        live = LiveRequest(command, deliver)
        self._live[command.request_id] = live
        if self.status == "ready" and not self._trials:
            self._send(live)

    def abort(self, request_id: str) -> None:
        """Forgets a request and frees what it holds in the engine."""
        live = self._live.pop(request_id, None)
        if live is None:
            return
        others_wait = live.leaving
        engine_id = self._take_back(live)
        if engine_id is not None and self._connection is not None:
            self._connection.send(AbortRequest(engine_id))
        if others_wait:
            self._next_trial()
        else:
            self._leave_trials(live)

    def reset_prefix_cache(self) -> None:
        """Forgets cached blocks that no running request holds."""
        if self._connection is not None:
            self._connection.send(ResetPrefixCache())

    async def shutdown(self) -> None:
        """Ends the engine process; requests that run end with finish_reason "abort"."""
        patience = _PATIENCE if self.status == "ready" else 0.0  # one that is loading does not listen
        self._set_status("dead", "the engine was shut down")
        self._fail_start("the engine was shut down")
        for live in list(self._live.values()):
            live.deliver(TokenDelta(live.command.request_id, [], "abort"))
        self._live.clear()
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
        try:
            await self._keep_alive()
        except OSError as error:  # such as too many open files, or no memory for a new process
            self._give_up(f"the engine process cannot be started: {error}")

    async def _keep_alive(self) -> None:
        while True:
            reason = await self._serve_one()
            if self._ready_at is None:
                self._failed_starts += 1
                if self.info is None or self._failed_starts >= MAX_FAILED_STARTS:
                    self._give_up(reason)
                    return
            _log.error("%s; it is being restarted", reason)
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
        self._watchdog = Watchdog(
            self._config.step_timeout, lambda: bool(self._in_engine), lambda: self._end_hung(process)
        )
        self._connection = await EngineConnection.open(
            process.connection, self._on_report, lambda: self.on_read()
        )
        watching = asyncio.create_task(self._watchdog.watch())
        try:
            await self._connection.closed.wait()
        finally:
            watching.cancel()
        self._connection = None
        await asyncio.to_thread(process.end, _PATIENCE)
        return self._failure or f"the engine process {process.death_reason()}"

    def _end_hung(self, process: EngineProcess) -> None:
        """The process works on a step without end: it is treated as one that has died."""
        self._failure = f"the engine process was stuck in a step for {self._config.step_timeout:g} s"
        process.process.kill()

    def _on_report(self, report: EngineReport) -> None:
        self._watchdog.heard()
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
        live = self._in_engine.get(delta.request_id)
        if live is None:
            return
        if live.leaving and delta.finish_reason == "abort":
            self._take_back(live)
            self._next_trial()
            return
        live.generated += delta.token_ids
        request_id = live.command.request_id
        if delta.request_id != request_id:
            delta = msgspec.structs.replace(delta, request_id=request_id)
        if delta.finish_reason is not None:
            del self._live[request_id]
            self._take_back(live)
        live.deliver(delta)
        if delta.finish_reason is not None:
            if live.leaving:
                self._next_trial()
            else:
                self._leave_trials(live)
        elif self._trials.is_over(live):
            self._end_trial(live)

    def _become_ready(self, info: EngineInfo) -> None:
        self.info = info
        self._ready_at = time.monotonic()
        self._failed_starts = 0
        self.on_progress = None  # a restart is not the user's business
        self._set_status("ready", None)
        if self._restarts:
            _log.warning("the engine is ready again; %d requests go on", len(self._live))
        if self._started is not None and not self._started.done():
            self._started.set_result(info)
        self._next_trial()

    def _send(self, live: LiveRequest) -> None:
        """Gives a request to the engine, under a new name: late news of an earlier time must not be
        mixed in.
        """
        if self._connection is None:
            return
        command = live.command
        engine_id = f"{command.request_id}~{live.times_sent}" if live.times_sent else command.request_id
        if live.times_sent:
            command = msgspec.structs.replace(command, request_id=engine_id, generated=live.generated)
        live.times_sent += 1
        live.engine_id = engine_id
        self._in_engine[engine_id] = live
        self._connection.send(command)

    def _end_trial(self, live: LiveRequest) -> None:
        """The last one just goes on; others wait for the trials behind them, which begin when the engine has
        given them back. Most of their cache is found again.
        """
        if not self._trials:
            self._next_trial()
        elif self._connection is not None and live.engine_id is not None:
            live.leaving = True
            self._connection.send(AbortRequest(live.engine_id))

    def _take_back(self, live: LiveRequest) -> str | None:
        """The engine has this request no more; returns what it was called there."""
        engine_id, live.engine_id, live.leaving = live.engine_id, None, False
        if engine_id is not None:
            del self._in_engine[engine_id]
        return engine_id

    def _next_trial(self) -> None:
        """Sends the next request to try; when none is left, everything that the engine does not have."""
        live = self._trials.next()
        if live is not None:
            self._send(live)
            return
        for live in self._live.values():
            if live.engine_id is None:
                self._send(live)

    def _leave_trials(self, live: LiveRequest) -> None:
        if self._trials.remove(live) and self.status == "ready":
            self._next_trial()

    def _judge(self, reason: str) -> None:
        """After a death: who fails, and who is replayed."""
        if self._ready_at is not None and time.monotonic() - self._ready_at > CALM_SECONDS:
            self._delay = 0.0
            self._trials.forget(self._live.values())
        suspects = list(self._in_engine.values())
        for live in suspects:
            self._take_back(live)
        if self._ready_at is not None:
            for live in self._trials.judge(suspects):
                del self._live[live.command.request_id]
                live.fail(f"{reason} {live.deaths} times in a row while it worked on this request")
        self._past = msgspec.structs.replace(self.stats, num_requests_running=0, kv_cache_usage=0.0)
        self.stats = self._past

    def _next_delay(self) -> float:
        """At once after a first death, then longer and longer while they follow each other."""
        delay, self._delay = self._delay, min(max(_FIRST_DELAY, 2 * self._delay), _LONGEST_DELAY)
        return delay

    def _give_up(self, reason: str) -> None:
        if self._restarts:
            _log.error("the engine has stopped: %s", reason)
        self._set_status("dead", reason)
        self._fail_start(reason)
        for live in list(self._live.values()):
            error = f"the engine has stopped: {reason}"
            live.fail(error)
        self._live.clear()

    def _fail_start(self, reason: str) -> None:
        if self._started is not None and not self._started.done():
            self._started.set_exception(EngineStartError(reason))
            self._started.exception()  # there may be nobody who waits for it

    def _take_stats(self, stats: EngineStats) -> None:
        past, before = self._past, self.stats
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
        if self.on_stats is not None:
            self.on_stats(before, self.stats)

    def _set_status(self, status: Status, reason: str | None) -> None:
        self.status = status
        self.status_reason = reason
