"""How often something may be done: so many times in so many seconds, by name."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

_MOST_NAMES = 10_000


class Pace:
    """count: times in any `seconds`. Names are what a caller makes of addresses; those longest unseen are
    forgotten first.
    """

    def __init__(self, count: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._seconds = seconds
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Seconds until the next one is allowed; 0 where this one is, which then counts."""
        now = self._clock()
        times = self._times.setdefault(name, deque())
        self._times.move_to_end(name)
        while len(self._times) > _MOST_NAMES:
            self._times.popitem(last=False)
        while times and now - times[0] >= self._seconds:
            times.popleft()
        if len(times) >= self._count:
            return times[0] + self._seconds - now
        times.append(now)
        return 0.0
