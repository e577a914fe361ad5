"""Which models are in memory when: on engines without processes, so that any order of events can be made."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.engines import StillEngine, engine_info
from tests.helpers.models import tiny_folder

from pagoda.api import residency
from pagoda.api.errors import ApiError
from pagoda.api.model_pool import Lease, ModelPool, PoolLimits
from pagoda.api.pool_memory import Holding, memory_left
from pagoda.api.served_model import ServedModel
from pagoda.api.settings import ServerSettings
from pagoda.engine.async_llm import EngineStartError
from pagoda.engine.config import EngineConfig, EngineStats
from pagoda.engine.forecast import Forecast

SETTINGS = ServerSettings()
GB = 10**9


class Engines:
    """Starts engines and keeps them by the path of their model, the newest last."""

    def __init__(self, **bytes_of: int) -> None:
        self.made: dict[str, list[StillEngine]] = {}
        self.held: set[str] = set()
        self.failing: dict[str, str] = {}
        self._bytes = bytes_of

    def __call__(self, config: EngineConfig) -> StillEngine:
        path = config.model_path
        info = engine_info(weight_bytes=self._bytes.get(path, 0))
        engine = StillEngine(config, info, held=path in self.held)
        engine.failure = self.failing.get(path)
        self.made.setdefault(path, []).append(engine)
        return engine

    def running(self) -> set[str]:
        return {path for path, made in self.made.items() if not made[-1].ended}


def model(name: str, least_bytes: int = 0) -> ServedModel:
    made = ServedModel((name,), EngineConfig(model_path=name), SETTINGS)
    made.forecast = Forecast(512, least_bytes)
    return made


@asynccontextmanager
async def pool_of(*names: str, engines: Engines | None = None, sizes: Any = (), **limits: Any):  # type: ignore[no-untyped-def]
    needs = dict(sizes)
    pool = ModelPool(
        [model(name, needs.get(name, 0)) for name in names], PoolLimits(**limits), engines or Engines()
    )
    await pool.start()
    try:
        yield pool
    finally:
        await pool.shutdown()


def request(work: Coroutine[Any, Any, Lease]) -> asyncio.Task[Lease]:
    """Work of a request of its own: it has nothing of the context of others."""
    return asyncio.create_task(work, context=Context())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def residences(pool: ModelPool) -> dict[str, str]:
    return {status.name: status.residence for status in pool.status()}


async def test_the_first_model_is_loaded_at_once_and_others_when_they_are_asked_for() -> None:
    engines = Engines()
    async with pool_of("a", "b", engines=engines) as pool:
        assert residences(pool) == {"a": "loaded", "b": "unloaded"}
        lease = await pool.lease("b")
        assert (lease.name, lease.llm) == ("b", engines.made["b"][0])
        assert (await pool.lease(None)).name == "a"
        assert residences(pool) == {"a": "loaded", "b": "loaded"}
    assert engines.running() == set()


async def test_requests_wait_for_one_load_together() -> None:
    engines = Engines()
    engines.held.add("b")
    async with pool_of("a", "b", engines=engines) as pool:
        waiting = [request(pool.lease("b")) for _ in range(3)]
        await until(lambda: "b" in engines.made)
        assert residences(pool)["b"] == "loading"
        assert pool.find("b").stats == EngineStats(num_requests_waiting=3, num_requests_deferred=3)
        assert (await pool.lease("a")).name == "a"  # others go on
        engines.made["b"][0].release()
        assert [lease.name for lease in await asyncio.gather(*waiting)] == ["b"] * 3
        assert pool.find("b").leases == 3
        assert pool.find("b").stats == EngineStats()
        assert len(engines.made["b"]) == 1


async def test_a_request_does_not_wait_for_ever() -> None:
    engines = Engines()
    engines.held.add("b")
    async with pool_of("a", "b", engines=engines, load_timeout=0.01) as pool:
        with pytest.raises(ApiError, match="`b` is still loading") as caught:
            await pool.lease("b")
        assert caught.value.status_code == 503
        assert int(caught.value.headers["Retry-After"]) > 0  # type: ignore[index]
        engines.made["b"][0].release()
        await until(lambda: residences(pool)["b"] == "loaded")  # the load went on
        assert (await pool.lease("b")).name == "b"


async def test_a_model_that_cannot_be_loaded_fails_its_own_requests_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engines = Engines()
    engines.failing["b"] = "its file is damaged"
    async with pool_of("a", "b", engines=engines) as pool:
        for _ in range(2):
            with pytest.raises(ApiError, match="`b` cannot be loaded: its file is damaged") as caught:
                await pool.lease("b")
            assert caught.value.status_code == 503
        assert len(engines.made["b"]) == 1  # not tried again at once
        assert (await pool.lease("a")).name == "a"
        monkeypatch.setattr(residency, "RETRY_SECONDS", 0.0)
        engines.failing.clear()
        assert (await pool.lease("b")).name == "b"


async def test_the_least_recently_used_idle_model_leaves_first() -> None:
    engines = Engines()
    async with pool_of("a", "b", "c", engines=engines, max_loaded=2) as pool:
        (await pool.lease("b")).release()
        (await pool.lease("a")).release()
        (await pool.lease("c")).release()
        assert engines.running() == {"a", "c"}
        (await pool.lease("b")).release()
        assert engines.running() == {"b", "c"}


async def test_a_model_in_use_stays_and_the_idle_one_goes() -> None:
    engines = Engines()
    async with pool_of("a", "b", "c", engines=engines, max_loaded=2) as pool:
        in_use = await pool.lease("a")
        (await pool.lease("b")).release()
        (await pool.lease("c")).release()
        assert engines.running() == {"a", "c"}
        in_use.release()


async def test_when_all_are_in_use_the_next_one_waits_and_newcomers_stand_in_line() -> None:
    engines = Engines()
    async with pool_of("a", "b", engines=engines, max_loaded=1) as pool:
        first = await pool.lease("a")
        other = request(pool.lease("b"))
        await until(lambda: pool.find("a").leaving)
        newcomer = request(pool.lease("a"))
        await asyncio.sleep(0)
        assert not engines.made["a"][0].ended
        first.release()
        first.release()  # counts once
        lease = await other
        assert engines.running() == {"b"}
        assert not newcomer.done()
        lease.release()
        assert (await newcomer).name == "a"
        assert engines.running() == {"a"}


async def test_who_holds_a_model_gets_it_again_while_it_is_to_leave() -> None:
    engines = Engines()
    async with pool_of("a", "b", engines=engines, max_loaded=1) as pool:
        first = await pool.lease("a")
        other = request(pool.lease("b"))
        await until(lambda: pool.find("a").leaving)
        async with asyncio.timeout(5):
            second = await pool.lease("a")  # of the same request, such as a batch of chats
        first.release()
        await asyncio.sleep(0)
        assert engines.running() == {"a"}
        second.release()
        await other
        assert engines.running() == {"b"}


async def test_no_room_in_time_is_a_503_and_the_model_in_use_goes_on() -> None:
    async with pool_of("a", "b", max_loaded=1, load_timeout=0.01) as pool:
        in_use = await pool.lease("a")
        with pytest.raises(ApiError, match="`b` waits for others to be unloaded"):
            await pool.lease("b")
        assert in_use.llm.status == "ready"


async def test_a_memory_limit_makes_room() -> None:
    engines = Engines(a=4 * GB, b=3 * GB, c=5 * GB)
    sizes = {"a": 4 * GB, "b": 3 * GB, "c": 5 * GB}
    async with pool_of("a", "b", "c", engines=engines, sizes=sizes, memory_bytes=9 * GB) as pool:
        (await pool.lease("b")).release()
        assert engines.running() == {"a", "b"}
        assert engines.made["b"][0].config.memory_limit_bytes <= 5 * GB  # type: ignore[operator]
        (await pool.lease("c")).release()
        assert engines.running() == {"b", "c"}


async def test_a_model_larger_than_all_memory_is_told_by_its_engine() -> None:
    engines = Engines(a=GB)
    engines.failing["b"] = "The model's weights need 99 GB"
    async with pool_of("a", "b", engines=engines, sizes={"b": 99 * GB}, memory_bytes=4 * GB) as pool:
        with pytest.raises(ApiError, match="weights need 99 GB"):
            await pool.lease("b")
        assert (await pool.lease("a")).name == "a"  # loaded again


@pytest.mark.parametrize(("keep_alive", "left"), [(0, set()), (-1, {"a", "b"}), (None, {"a", "b"})])
async def test_idle_models_leave_in_time(keep_alive: float | None, left: set[str]) -> None:
    engines = Engines()
    async with pool_of("a", "b", engines=engines, keep_alive=keep_alive) as pool:
        lease = await pool.lease("b")
        if keep_alive == 0:
            await until(lambda: engines.running() == {"b"})
        lease.release()
        if keep_alive == 0:
            await until(lambda: engines.running() == set())
        else:
            for _ in range(20):
                await asyncio.sleep(0)
        assert engines.running() == left
        assert (await pool.lease("b")).name == "b"  # comes back


async def test_unloading_waits_for_what_runs() -> None:
    engines = Engines()
    async with pool_of("a", "b", engines=engines) as pool:
        await pool.load("b")
        lease = await pool.lease("b")
        going = asyncio.create_task(pool.unload("b"))
        await until(lambda: pool.find("b").leaving)
        assert engines.running() == {"a", "b"}
        lease.release()
        await going
        assert residences(pool) == {"a": "loaded", "b": "unloaded"}
        with pytest.raises(ApiError, match="`x` does not exist"):
            await pool.unload("x")


async def test_a_dead_engine_of_a_further_model_is_replaced_later(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = Engines()
    async with pool_of("a", "b", engines=engines) as pool:
        (await pool.lease("b")).release()
        engines.made["b"][0].state, engines.made["b"][0].reason = "dead", "it crashed 3 times"
        with pytest.raises(ApiError, match="it crashed 3 times"):
            await pool.lease("b")
        monkeypatch.setattr(residency, "RETRY_SECONDS", 0.0)
        assert (await pool.lease("b")).llm is engines.made["b"][1]


async def test_the_default_models_dead_engine_stays_dead_for_those_who_watch() -> None:
    engines = Engines()
    async with pool_of("a", "b", engines=engines) as pool:
        engines.made["a"][0].state, engines.made["a"][0].reason = "dead", "why"
        for _ in range(2):
            with pytest.raises(ApiError, match="The engine has stopped: why"):
                await pool.lease("a")
        assert (await pool.lease("b")).name == "b"


async def test_models_come_and_go() -> None:
    engines = Engines()
    async with pool_of("a", engines=engines) as pool:
        pool.add(model("b"))
        with pytest.raises(ValueError, match="'b' is in use"):
            pool.add(model("b"))
        lease = await pool.lease("b")
        pool.remove("b")
        with pytest.raises(ApiError, match="`b` does not exist"):
            await pool.lease("b")
        assert engines.running() == {"a", "b"}  # until its last request has ended
        lease.release()
        await until(lambda: engines.running() == {"a"})
        with pytest.raises(ValueError, match="default model"):
            pool.remove("a")


async def test_a_model_that_was_removed_while_it_was_waited_for_is_not_loaded() -> None:
    engines = Engines()
    engines.held.add("b")
    async with pool_of("a", "b", "c", engines=engines, keep_alive=-1) as pool:
        first, second = request(pool.lease("b")), request(pool.lease("c"))
        await until(lambda: "b" in engines.made and pool.find("c").waiting == 1)
        pool.remove("c")
        engines.made["b"][0].release()
        (await first).release()
        with pytest.raises(ApiError, match="`c` does not exist"):
            await second
        assert engines.running() == {"a", "b"}


@pytest.mark.parametrize("abort", [True, False])
async def test_sleep_frees_the_memory_and_waking_brings_it_back(abort: bool) -> None:
    engines = Engines()
    async with pool_of("a", "b", "c", engines=engines) as pool:
        (await pool.lease("b")).release()
        lease = await pool.lease("a")
        sleeping = asyncio.create_task(pool.sleep(1, abort=abort))
        if not abort:
            await until(lambda: pool.find("a").leaving)
            assert engines.running() == {"a", "b"}
            lease.release()
        await sleeping
        assert pool.is_sleeping
        assert engines.running() == set()
        assert residences(pool) == {"a": "sleeping", "b": "sleeping", "c": "unloaded"}
        with pytest.raises(ApiError, match="sleeps") as caught:
            await pool.lease("c")
        assert caught.value.status_code == 503
        await pool.wake_up(["weights"])
        assert pool.is_sleeping
        await pool.wake_up(["kv_cache"])
        assert not pool.is_sleeping
        assert engines.running() == {"a", "b"}
        assert pool.find("a").sleep_level == 0


async def test_counters_go_on_over_unloading() -> None:
    engines = Engines()
    async with pool_of("a", "b", engines=engines) as pool:
        (await pool.lease("b")).release()
        engines.made["b"][0].counters = EngineStats(generation_tokens=5, num_requests_running=1)
        await pool.unload("b")
        assert pool.find("b").stats == EngineStats(generation_tokens=5)
        (await pool.lease("b")).release()
        engines.made["b"][1].counters = EngineStats(generation_tokens=2, num_requests_running=1)
        assert pool.find("b").stats == EngineStats(generation_tokens=7, num_requests_running=1)


async def test_shutting_down_lets_nobody_wait() -> None:
    engines = Engines()
    engines.held.add("b")
    async with pool_of("a", "b", engines=engines) as pool:
        waiting = request(pool.lease("b"))
        await until(lambda: "b" in engines.made)
        pool.close()
        with pytest.raises(ApiError, match="shutting down"):
            await waiting
    assert engines.running() == set()


async def test_the_first_model_must_load() -> None:
    engines = Engines()
    engines.failing["a"] = "no such file"
    pool = ModelPool([model("a"), model("b")], launch=engines)
    with pytest.raises(EngineStartError, match="no such file"):
        await pool.start()
    with pytest.raises(ApiError, match="The engine has stopped: no such file"):
        await pool.lease("a")
    await pool.shutdown()


async def test_tokenizers_are_loaded_before_anybody_is_served_and_kept(tmp_path: Path) -> None:
    engines = Engines()
    folder = tiny_folder(tmp_path / "b")
    further = ServedModel(("b",), EngineConfig(model_path=str(folder)), SETTINGS)
    pool = ModelPool([model("a"), further, further.with_adapter("c", "/adapter")], launch=engines)
    await pool.start()
    made = engines.made
    for name in ("b", "c", "b"):
        (await pool.lease(name)).release()
        await pool.unload(name)
    texts = [engine.used_text for engine in made[str(folder)]]
    assert len(texts) == 3
    assert texts[0] is not None
    assert all(text is texts[0] for text in texts)
    os.utime(folder / "tokenizer.json", (1, 1))  # another file under the same name
    (await pool.lease("b")).release()
    assert made[str(folder)][-1].used_text is None
    await pool.shutdown()


def test_memory_that_is_promised_is_not_free() -> None:
    holdings = [Holding(6 * GB, 1), Holding(2 * GB, 2)]
    resident = {1: 4 * GB, 2: 3 * GB}.__getitem__
    assert memory_left(holdings, None, available=lambda: 10 * GB, resident=resident) == 8 * GB
    assert memory_left(holdings, 12 * GB, available=lambda: 10 * GB, resident=resident) == 4 * GB
    assert memory_left(holdings, 7 * GB, available=lambda: None, resident=resident) == 0
    assert memory_left(holdings, None, available=lambda: None, resident=resident) is None
