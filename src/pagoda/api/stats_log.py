"""A line about throughput in the log every few seconds, in vLLM's words, while there is something to tell."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from pagoda.api.model_pool import ModelPool
from pagoda.engine.config import EngineStats

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Sample:
    time: float
    stats: EngineStats


async def log_throughput(pool: ModelPool, seconds: float) -> None:
    """Logs a line for every model that works, every so many seconds, until it is cancelled; 0 means never.

    The number of the engine is the model's place in /v1/models.
    """
    if seconds <= 0:
        return
    last: dict[str, _Sample] = {}
    while True:
        for number, model in enumerate(pool.list()):
            now = _Sample(time.monotonic(), model.stats)
            before = last.get(model.name, _Sample(now.time - seconds, EngineStats()))
            last[model.name] = now
            if _is_idle(before.stats, now.stats):
                _log.debug("%s", throughput_line(number, before.stats, now.stats, now.time - before.time))
            else:
                _log.info("%s", throughput_line(number, before.stats, now.stats, now.time - before.time))
        await asyncio.sleep(seconds)


def throughput_line(number: int, before: EngineStats, after: EngineStats, seconds: float) -> str:
    """What an engine did between two looks at its counters. The hit rate is that of the server's life."""
    prompt = (after.prompt_tokens - before.prompt_tokens) / seconds
    generation = (after.generation_tokens - before.generation_tokens) / seconds
    hits = 100 * after.prefix_cache_hits / max(1, after.prefix_cache_queries)
    return (
        f"Engine {number:03}: Avg prompt throughput: {prompt:.1f} tokens/s, "
        f"Avg generation throughput: {generation:.1f} tokens/s, "
        f"Running: {after.num_requests_running} reqs, Waiting: {after.num_requests_waiting} reqs, "
        f"GPU KV cache usage: {100 * after.kv_cache_usage:.1f}%, Prefix cache hit rate: {hits:.1f}%"
    )


def _is_idle(before: EngineStats, after: EngineStats) -> bool:
    running = after.num_requests_running or after.num_requests_waiting
    return not running and (before.prompt_tokens, before.generation_tokens) == (
        after.prompt_tokens,
        after.generation_tokens,
    )
