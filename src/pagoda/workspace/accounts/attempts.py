"""Slows down whoever guesses passwords: by account and by address, with growing waits."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_TRIES = 5
_FIRST_WAIT = 2.0
_LONGEST_WAIT = 300.0
_FORGET_AFTER = 900.0
_MOST_NAMES = 10_000


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0


class Attempts:
    """Counts failures by name; names are what a caller makes of accounts and addresses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def wait(self, *names: str) -> float:
        """Seconds until another try is taken, 0 when it is."""
        return max((self._wait(name) for name in names), default=0.0)

    def failed(self, *names: str) -> None:
        for name in names:
            found = self._failures.setdefault(name, _Failures())
            if self._clock() - found.last > _FORGET_AFTER:
                found.count = 0
            found.count += 1
            found.last = self._clock()
            self._failures.move_to_end(name)
        while len(self._failures) > _MOST_NAMES:
            self._failures.popitem(last=False)

    def succeeded(self, *names: str) -> None:
        for name in names:
            self._failures.pop(name, None)

    def _wait(self, name: str) -> float:
        found = self._failures.get(name)
        if found is None or found.count < FREE_TRIES:
            return 0.0
        pause = min(_FIRST_WAIT * 2.0 ** (found.count - FREE_TRIES), _LONGEST_WAIT)
        return max(0.0, found.last + pause - self._clock())
