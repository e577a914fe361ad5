"""Engines that need no process: for tests of what stands before them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pagoda.engine.async_llm import AsyncLLM, EngineStartError
from pagoda.engine.config import EngineConfig, EngineInfo, EngineStats
from pagoda.engine.supervisor import EngineSupervisor, Status
from pagoda.engine.text_tools import TextTools


def engine_info(*, weight_bytes: int = 0, cache_bytes: int = 0, max_model_len: int = 512) -> EngineInfo:
    return EngineInfo(
        architecture="none",
        vocab_size=320,
        max_model_len=max_model_len,
        num_blocks=16,
        block_size=32,
        weight_bytes=weight_bytes,
        cache_bytes=cache_bytes,
        max_num_seqs=8,
        max_num_batched_tokens=64,
        num_threads=1,
        isa="none",
        weight_formats={},
        load_seconds=0.0,
        pid=0,
    )


class StillEngine(AsyncLLM):
    """An engine that answers nothing and is in the state it was put into. `release` lets its loading end."""

    def __init__(self, config: EngineConfig, info: EngineInfo | None = None, *, held: bool = False) -> None:
        super().__init__(config, EngineSupervisor(config))
        self.state: Status = "starting"
        self.reason: str | None = None
        self.counters = EngineStats()
        self.failure: str | None = None
        self.ended = False
        self.used_text: TextTools | None = None
        self._own_info = info or engine_info()
        self._released = asyncio.Event()
        if not held:
            self._released.set()

    def observe_steps(self, observer: Callable[[EngineStats, EngineStats], None]) -> None:
        self.observed = observer

    def use_text(self, text: TextTools) -> None:
        self.used_text = text

    def release(self, failure: str | None = None) -> None:
        self.failure = failure
        self._released.set()

    async def wait_ready(self, on_progress: Callable[[int, int], None] | None = None) -> EngineInfo:
        await self._released.wait()
        if self.failure is not None:
            self.state, self.reason = "dead", self.failure
            raise EngineStartError(self.failure)
        self.state = "ready"
        return self._own_info

    @property
    def info(self) -> EngineInfo:
        return self._own_info

    @property
    def has_info(self) -> bool:
        return self.state != "starting"

    @property
    def status(self) -> Status:
        return self.state

    @property
    def status_reason(self) -> str | None:
        return self.reason

    @property
    def stats(self) -> EngineStats:
        return self.counters

    async def shutdown(self) -> None:
        self.ended = True
        self.state = "dead"
