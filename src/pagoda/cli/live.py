"""The server's figures for the workspace's live page: models' counters, processes' memory and time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pagoda.api.model_pool import ModelPool
from pagoda.api.served_model import ServedModel
from pagoda.engine.memory import available_bytes, total_bytes
from pagoda.workspace.admin.live_stats import MachineReading, ModelReading

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


class ServerStats:
    """A `LiveStats`. proc: where the kernel tells of processes."""

    def __init__(self, pool: ModelPool, proc: Path = Path("/proc")) -> None:
        self._pool = pool
        self._proc = proc
        self._cores = len(os.sched_getaffinity(0))

    def models(self) -> Sequence[ModelReading]:
        return [_reading(model) for model in self._pool.list()]

    def machine(self) -> MachineReading:
        own = os.getpid()
        engines = [
            llm.engine_pid for model in self._pool.list() if (llm := model.loaded_llm) and llm.engine_pid
        ]
        sizes = [self._resident(pid) or 0 for pid in engines]
        return MachineReading(
            server_memory=self._resident(own),
            engine_memory=sum(sizes),
            total_memory=total_bytes(),
            available_memory=available_bytes(),
            server_seconds=self._seconds(own),
            engine_seconds=sum(map(self._seconds, engines)),
            cores=self._cores,
        )

    def _resident(self, pid: int) -> int | None:
        """Bytes in memory; None for a process that is gone."""
        words = self._read(pid, "statm").split()
        return int(words[1]) * _PAGE if len(words) > 1 else None

    def _seconds(self, pid: int) -> float:
        """Of all its threads, in the kernel as well."""
        words = self._read(pid, "stat").rpartition(")")[2].split()  # the name before may hold anything
        return (int(words[11]) + int(words[12])) / _TICKS if len(words) > 12 else 0.0

    def _read(self, pid: int, name: str) -> str:
        try:
            return (self._proc / str(pid) / name).read_text()
        except OSError:
            return ""


def _reading(model: ServedModel) -> ModelReading:
    stats, info, llm = model.stats, model.info, model.loaded_llm
    error = model.failure
    if error is None and llm is not None and llm.status in ("degraded", "dead"):
        error = llm.status_reason
    return ModelReading(
        name=model.name,
        state=model.residence,
        error=error,
        running=stats.num_requests_running,
        waiting=stats.num_requests_waiting,
        cache_used=stats.kv_cache_usage,
        cache_tokens=None if info is None else info.num_blocks * info.block_size,
        prompt_tokens=stats.prompt_tokens,
        generation_tokens=stats.generation_tokens,
        cache_queries=stats.prefix_cache_queries,
        cache_hits=stats.prefix_cache_hits,
        preemptions=stats.num_preemptions,
        restarts=stats.restarts,
        memory=model.committed_bytes,
    )
