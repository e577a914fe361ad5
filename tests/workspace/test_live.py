"""The live page's figures: exact rates, one look for all viewers, nothing while nobody looks."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from tests.workspace.conftest import House, open_house
from tests.workspace.test_chats import ask, new_chat

from pagoda.workspace.admin.live import Live
from pagoda.workspace.admin.live_stats import MachineReading, ModelReading

COUNTS = ModelReading(name="m", state="loaded", prompt_tokens=100, generation_tokens=50, cache_tokens=4096)


class Counters:
    """A `LiveStats` whose numbers a test changes; it counts how often it was asked."""

    def __init__(self) -> None:
        self.model = COUNTS
        self.reading = MachineReading(server_memory=5, total_memory=10, server_seconds=1.0, cores=2)
        self.looks = 0

    def models(self) -> Sequence[ModelReading]:
        self.looks += 1
        return [self.model]

    def machine(self) -> MachineReading:
        return self.reading


class Clock:
    """A second goes by from look to look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
async def counters() -> Counters:
    return Counters()


def live_of(house: House, counters: Counters) -> Live:
    generations = house.workspace.generations
    return Live(counters, generations.everyones, house.workspace.database, clock=Clock(), seconds=0.01)


async def samples(live: Live, count: int) -> list[dict[str, Any]]:
    found = []
    async with aclosing(live.watch()) as stream:
        async for sample in stream:
            found.append(sample)
            if len(found) == count:
                break
    return found


@pytest.mark.sqlite_only
async def test_rates_are_differences_of_counters(tmp_path: Path, counters: Counters) -> None:
    async with open_house(tmp_path) as house:
        live = live_of(house, counters)
        async with aclosing(live.watch()) as stream:
            history = await anext(stream)
            assert history == {"type": "history", "seconds": 0.01, "samples": []}
            first = await anext(stream)
            [model] = first["models"]
            assert model["generation_tokens_per_second"] is None  # one look says nothing about a rate
            assert first["cpu"] == {"server": None, "engine": None, "cores": 2}
            assert first["memory"] == {"server": 5, "engine": None, "total": 10, "available": None}
            counters.model = dataclasses.replace(
                COUNTS, prompt_tokens=130, generation_tokens=55, running=3, cache_queries=8, cache_hits=2
            )
            counters.reading = dataclasses.replace(counters.reading, server_seconds=4.0)
            async for sample in stream:
                [model] = sample["models"]
                if model["running"]:
                    break
        assert (model["prompt_tokens_per_second"], model["generation_tokens_per_second"]) == (30.0, 5.0)
        assert (model["cache_hit_rate"], model["cache_tokens"]) == (0.25, 4096)
        assert sample["cpu"]["server"] == 3.0
        assert sample["uptime"] >= 2.0


@pytest.mark.sqlite_only
async def test_a_counter_that_begins_anew_makes_no_negative_rate(tmp_path: Path, counters: Counters) -> None:
    async with open_house(tmp_path) as house:
        async with aclosing(live_of(house, counters).watch()) as stream:
            await anext(stream)
            await anext(stream)
            counters.model = dataclasses.replace(COUNTS, generation_tokens=7)
            async for sample in stream:
                [model] = sample["models"]
                if model["generation_tokens"] == 7:
                    break
        assert model["generation_tokens_per_second"] == 7.0


@pytest.mark.sqlite_only
async def test_one_look_serves_all_and_nobody_costs_nothing(tmp_path: Path, counters: Counters) -> None:
    async with open_house(tmp_path) as house:
        live = live_of(house, counters)
        assert not live.is_looking
        async with aclosing(live.watch()) as one, aclosing(live.watch()) as other:
            for stream in (one, other):
                await anext(stream)
            mine, yours = await asyncio.gather(anext(one), anext(other))
            assert mine is yours
            assert live.is_looking
        assert not live.is_looking
        looks = counters.looks
        for _ in range(5):
            await asyncio.sleep(0)
        assert counters.looks == looks
        [history] = await samples(live, 1)
        assert history["samples"][0]["at"] == mine["at"]  # who comes back sees what was


@pytest.mark.sqlite_only
async def test_users_are_told_with_what_is_written_for_them(tmp_path: Path, counters: Counters) -> None:
    gate = asyncio.Semaphore(0)
    async with open_house(tmp_path, gate=gate) as house, house.signed_in() as ada:
        live = live_of(house, counters)
        async with aclosing(live.watch()) as stream:
            await anext(stream)
            assert (await anext(stream))["users"] == []
            chat = await new_chat(ada)
            await ask(ada, chat, "Hi")
            async for sample in stream:
                if sample["users"]:
                    break
            [user] = sample["users"]
            assert (user["name"], user["running"], user["tokens_per_second"]) == ("Ada", 1, 0.0)

            async def written() -> float:
                """In all seconds until there is nobody any more."""
                total = 0.0
                async for sample in stream:
                    if not sample["users"]:
                        break
                    total += sample["users"][0]["tokens_per_second"]
                return total

            reading = asyncio.create_task(written())
            for _ in range(4):
                gate.release()
            assert await reading == 4.0  # each is counted once


@pytest.mark.sqlite_only
async def test_streams_end_with_the_server(tmp_path: Path, counters: Counters) -> None:
    async with open_house(tmp_path) as house:
        live = live_of(house, counters)
        reading = asyncio.create_task(samples(live, 1_000_000))
        while not live.is_looking:
            await asyncio.sleep(0)
        live.close()
        assert (await reading)[0]["type"] == "history"
        assert not live.is_looking
        assert len(await samples(live, 2)) == 1


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as house:
        yield house


@pytest.mark.sqlite_only
async def test_the_route_streams_and_the_looking_ends_with_it(one: House) -> None:
    async with one.signed_in() as ada:
        token = ada.cookies["pagoda_session"]
    seen: list[bytes] = []
    enough = asyncio.Event()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/admin/live",
        "raw_path": b"/api/admin/live",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"house"), (b"cookie", f"pagoda_session={token}".encode())],
        "server": ("house", 80),
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> dict[str, Any]:
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if body := message.get("body"):
            seen.append(body)
        if len(seen) == 2:
            enough.set()

    await one.app(scope, receive, send)  # type: ignore[arg-type]
    assert seen[0].startswith(b'data: {"type":"history"')
    assert b'"type":"sample"' in seen[1]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not one.workspace.live.is_looking
