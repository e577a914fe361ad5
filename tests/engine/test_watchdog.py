from __future__ import annotations

import asyncio

import pytest

from pagoda.engine.watchdog import Watchdog


class Clock:
    """Time that passes only while somebody sleeps; `events` happen when their time has come."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slow = 1.0  #: how much longer than asked a sleep takes
        self.heard_at: list[float] = []
        self.dog: Watchdog | None = None

    async def sleep(self, seconds: float) -> None:
        end = self.now + seconds * self.slow
        while self.heard_at and self.heard_at[0] <= end and self.dog is not None:
            self.now = self.heard_at.pop(0)
            self.dog.heard()
        self.now = end
        if end > 1000:
            raise asyncio.CancelledError


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def bitten_at(clock: Clock, seconds: float = 40, busy: bool = True) -> float | None:
    bites: list[float] = []
    clock.dog = Watchdog(
        seconds, lambda: busy, lambda: bites.append(clock.now), clock=lambda: clock.now, sleep=clock.sleep
    )
    try:
        await clock.dog.watch()
    except asyncio.CancelledError:
        return None
    return bites[0] if bites else None


async def test_silence_while_there_is_work(clock: Clock) -> None:
    assert await bitten_at(clock) == 50  # the first look after 40 s


async def test_news_begin_the_time_anew(clock: Clock) -> None:
    clock.heard_at = [30, 65, 100]
    assert await bitten_at(clock) == 150


async def test_silence_without_work_is_well(clock: Clock) -> None:
    assert await bitten_at(clock, busy=False) is None


async def test_when_we_stood_still_ourselves_nobody_is_to_blame(clock: Clock) -> None:
    clock.slow = 2.5
    assert await bitten_at(clock) is None


async def test_never(clock: Clock) -> None:
    assert await bitten_at(clock, seconds=0) is None
    assert clock.now == 0
