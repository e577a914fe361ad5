"""Whatever comes in whatever order: nobody loses a model in use, limits hold, everybody is served."""

from __future__ import annotations

import asyncio
from contextvars import Context
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.engines import StillEngine, engine_info

from pagoda.api.model_pool import ModelPool, PoolLimits
from pagoda.api.served_model import ServedModel
from pagoda.api.settings import ServerSettings
from pagoda.engine.config import EngineConfig
from pagoda.engine.forecast import Forecast

NAMES = "abcd"
SIZE = 10**9


@dataclass(frozen=True)
class Visit:
    """A request: for which model, when it comes, how long it takes (in turns of the event loop), how often it
    asks for the model within that time, and whether its client leaves before it is served.
    """

    name: str
    comes: int
    stays: int
    asks: int
    gives_up: bool


VISITS = st.builds(
    Visit,
    name=st.sampled_from(NAMES),
    comes=st.integers(0, 30),
    stays=st.integers(0, 12),
    asks=st.integers(1, 3),
    gives_up=st.booleans(),
)


class World:
    """A pool with engines that take some turns to load, and a look at the rules at every turn."""

    def __init__(self, max_loaded: int | None, memory: int | None, keep_alive: float | None) -> None:
        self.engines: list[StillEngine] = []
        self.most = min(max_loaded or len(NAMES), memory or len(NAMES))
        models = [ServedModel((name,), EngineConfig(model_path=name), ServerSettings()) for name in NAMES]
        for model in models:
            model.forecast = Forecast(512, SIZE)
        limits = PoolLimits(
            max_loaded=max_loaded,
            memory_bytes=None if memory is None else memory * SIZE,
            keep_alive=keep_alive,
            load_timeout=60,
        )
        self.pool = ModelPool(models, limits, self.launch)

    def launch(self, config: EngineConfig) -> StillEngine:
        engine = StillEngine(config, engine_info(weight_bytes=SIZE), held=True)
        self.engines.append(engine)
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.call_soon(engine.release))
        self.check()
        return engine

    def check(self) -> None:
        alive = [engine for engine in self.engines if not engine.ended]
        assert len(alive) <= self.most
        assert len({engine.config.model_path for engine in alive}) == len(alive)

    async def visit(self, visit: Visit) -> None:
        for _ in range(visit.comes):
            await asyncio.sleep(0)
        leases = []
        try:
            for _ in range(visit.asks):
                lease = await self.pool.lease(visit.name)
                leases.append(lease)
                for _ in range(visit.stays):
                    assert all(held.llm.status == "ready" for held in leases)
                    assert lease.llm.config.model_path == visit.name
                    await asyncio.sleep(0)
        finally:
            for lease in leases:
                lease.release()

    async def run(self, visits: list[Visit]) -> None:
        await self.pool.start()
        requests = [asyncio.create_task(self.visit(visit), context=Context()) for visit in visits]
        for visit, request in zip(visits, requests, strict=True):
            if visit.gives_up:
                asyncio.get_running_loop().call_later(visit.comes * 1e-4, request.cancel)
        async with asyncio.timeout(30):
            found = await asyncio.gather(*requests, return_exceptions=True)
        for visit, result in zip(visits, found, strict=True):
            gone = visit.gives_up and isinstance(result, asyncio.CancelledError)
            assert result is None or gone, result
        self.check()
        await self.pool.shutdown()
        assert all(engine.ended for engine in self.engines)


@settings(max_examples=60, deadline=None)
@given(
    visits=st.lists(VISITS, max_size=14),
    max_loaded=st.none() | st.integers(1, 3),
    memory=st.none() | st.integers(1, 3),
    keep_alive=st.sampled_from([None, 0, -1]),
)
def test_nobody_loses_a_model_and_everybody_is_served(
    visits: list[Visit], max_loaded: int | None, memory: int | None, keep_alive: float | None
) -> None:
    asyncio.run(World(max_loaded, memory, keep_alive).run(visits))
