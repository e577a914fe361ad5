"""Figures of each second for whoever looks at the live page: one look at the counters for all of them.

Rates are differences of exact counters over the time between two looks. While nobody looks nothing is done.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from pagoda.workspace.admin.live_stats import LiveStats, MachineReading, ModelReading
from pagoda.workspace.generation.run import Run
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import User
from pagoda.workspace.storage.values import now_ms

LOOK_SECONDS = 1.0
HISTORY = 300  #: looks that are kept: five minutes
_MOST_WAITING = 30  #: looks that a viewer may be behind; the oldest go

Sample = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Look:
    """All counters at one moment. answers: by run, whose it is and its tokens so far."""

    at: float
    models: Mapping[str, ModelReading]
    machine: MachineReading
    answers: Mapping[str, tuple[str, int]]


class Live:
    """stats: of the server; None where nobody tells. runs: all answers, also such as have just ended."""

    def __init__(
        self,
        stats: LiveStats | None,
        runs: Callable[[], Sequence[Run]],
        database: Database,
        *,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = LOOK_SECONDS,
    ) -> None:
        self._stats = stats
        self._runs = runs
        self._db = database
        self._clock = clock
        self._seconds = seconds
        self._began = clock()
        self._history: deque[Sample] = deque(maxlen=HISTORY)
        self._viewers: set[asyncio.Queue[Sample | None]] = set()
        self._names: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def is_looking(self) -> bool:
        """Whether anything is done at the moment."""
        return self._task is not None

    async def watch(self) -> AsyncGenerator[Sample, None]:
        """First {"type": "history", "samples"}, then a sample each second. Closing it ends the looking, where
        nobody else looks.
        """
        mine: asyncio.Queue[Sample | None] = asyncio.Queue(_MOST_WAITING)
        self._viewers.add(mine)
        try:
            yield {"type": "history", "seconds": self._seconds, "samples": self._recent()}
            if self._closed:
                return
            if self._task is None:
                self._task = asyncio.create_task(self._look_each_second(), name="live figures")
            while (sample := await mine.get()) is not None:
                yield sample
        finally:
            self._viewers.discard(mine)
            if not self._viewers and self._task is not None:
                self._task.cancel()
                self._task = None

    def close(self) -> None:
        """Ends all streams; new ones end after the history."""
        self._closed = True
        self._tell(None)

    def _tell(self, sample: Sample | None) -> None:
        for viewer in self._viewers:
            if viewer.full():
                viewer.get_nowait()
            viewer.put_nowait(sample)

    def _recent(self) -> list[Sample]:
        oldest = now_ms() - HISTORY * self._seconds * 1000
        return [sample for sample in self._history if sample["at"] >= oldest]

    async def _look_each_second(self) -> None:
        before: _Look | None = None
        while True:
            look = self._look()
            sample = await self._sample(before, look)
            before = look
            self._history.append(sample)
            self._tell(sample)
            await asyncio.sleep(self._seconds)

    def _look(self) -> _Look:
        models = {} if self._stats is None else {each.name: each for each in self._stats.models()}
        machine = MachineReading() if self._stats is None else self._stats.machine()
        answers = {run.id: (run.user_id, _tokens(run)) for run in self._runs()}
        return _Look(self._clock(), models, machine, answers)

    async def _sample(self, before: _Look | None, now: _Look) -> Sample:
        seconds = None if before is None else now.at - before.at
        machine = None if before is None else before.machine
        return {
            "type": "sample",
            "at": now_ms(),
            "uptime": now.at - self._began,
            "models": [_model(before, each, seconds) for each in now.models.values()],
            "memory": {
                "server": now.machine.server_memory,
                "engine": now.machine.engine_memory,
                "total": now.machine.total_memory,
                "available": now.machine.available_memory,
            },
            "cpu": {
                "server": _rate(machine, now.machine, "server_seconds", seconds),
                "engine": _rate(machine, now.machine, "engine_seconds", seconds),
                "cores": now.machine.cores,
            },
            "users": await self._users(before, now, seconds),
        }

    async def _users(self, before: _Look | None, now: _Look, seconds: float | None) -> list[dict[str, Any]]:
        """Who has answers on the way, or got tokens since the last look."""
        running: dict[str, int] = {}
        for run in self._runs():
            if not run.ended:
                running[run.user_id] = running.get(run.user_id, 0) + 1
        written: dict[str, int] = {}
        for run_id, (user, tokens) in now.answers.items():
            known = before.answers.get(run_id, (user, 0))[1] if before is not None else tokens
            if tokens > known:
                written[user] = written.get(user, 0) + tokens - known
        users = list(dict.fromkeys((*running, *written)))
        names = await self._names_of(users)
        return [
            {
                "id": user,
                "name": names.get(user, ""),
                "running": running.get(user, 0),
                "tokens_per_second": None if not seconds else written.get(user, 0) / seconds,
            }
            for user in users
        ]

    async def _names_of(self, users: Sequence[str]) -> Mapping[str, str]:
        if unknown := [user for user in users if user not in self._names]:
            async with self._db.read() as session:
                found = await session.execute(select(User.id, User.name).where(User.id.in_(unknown)))
                self._names.update({row.id: row.name for row in found})
        return self._names


def _model(before: _Look | None, now: ModelReading, seconds: float | None) -> dict[str, Any]:
    known = None if before is None else before.models.get(now.name)
    return {
        "name": now.name,
        "state": now.state,
        "error": now.error,
        "running": now.running,
        "waiting": now.waiting,
        "prompt_tokens": now.prompt_tokens,
        "generation_tokens": now.generation_tokens,
        "prompt_tokens_per_second": _rate(known, now, "prompt_tokens", seconds),
        "generation_tokens_per_second": _rate(known, now, "generation_tokens", seconds),
        "cache_used": now.cache_used,
        "cache_tokens": now.cache_tokens,
        "cache_hit_rate": now.cache_hits / now.cache_queries if now.cache_queries else None,
        "preemptions": now.preemptions,
        "restarts": now.restarts,
        "memory": now.memory,
    }


def _rate(before: object, now: object, counter: str, seconds: float | None) -> float | None:
    """A second; None where it was not looked before. A counter that began anew counts from there."""
    if before is None or not seconds:
        return None
    was, value = getattr(before, counter), getattr(now, counter)
    return float(value - was if value >= was else value) / seconds


def _tokens(run: Run) -> int:
    """What the provider has counted so far."""
    return (run.builder.usage or {}).get("completion_tokens") or 0
