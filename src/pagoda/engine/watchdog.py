"""Notices an engine that has work and tells nothing: hung in a step, not dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class Watchdog:
    """Calls `bite` once when `busy` holds and nothing was heard for `seconds`; 0 means never.

    `heard` is on the path of every step and only notes the time. clock, sleep: in seconds.
    """

    def __init__(
        self,
        seconds: float,
        busy: Callable[[], bool],
        bite: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._seconds = seconds
        self._busy = busy
        self._bite = bite
        self._clock = clock
        self._sleep = sleep
        self._last = clock()

    def heard(self) -> None:
        """To be called with every news of the engine."""
        self._last = self._clock()

    async def watch(self) -> None:
        """Looks four times in the time allowed, until it has bitten or is cancelled."""
        if self._seconds <= 0:
            return
        pause = self._seconds / 4
        while True:
            before = self._clock()
            await self._sleep(pause)
            now = self._clock()
            stood_still = now - before > 2 * pause  # we ourselves, so that nothing could be heard
            if stood_still or not self._busy():
                self._last = now
            elif now - self._last > self._seconds:
                self._bite()
                return
