"""Requests that wait to start, in line for each user."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping

from pagoda.engine.request import Request

_LOOK_AHEAD = 8  #: how far behind a held-back request of a user another one is looked for


class WaitingQueue:
    """One line for each user, in order of rank (priority, then arrival)."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Request]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, request: Request) -> None:
        insort(self._lines.setdefault(request.user, []), request, key=_rank)
        self._count += 1

    def remove(self, request: Request) -> None:
        """Raises ValueError for a request that does not wait."""
        line = self._lines.get(request.user, [])
        line.remove(request)
        self._count -= 1
        if not line:
            del self._lines[request.user]

    def pick(
        self, burden: Mapping[str, tuple[int, float]], held_back: Callable[[Request], bool]
    ) -> Request | None:
        """The next to start, left in line: best priority first, then the user with the least burden, which is
        the number of running requests and then the service so far.

        A request that `held_back` names lets the next ones of its line pass; None when all are held back.
        """
        candidates = []
        for user, line in self._lines.items():
            for request in line[:_LOOK_AHEAD]:
                if not held_back(request):
                    candidates.append((request.priority, burden[user], request.order, request))
                    break
        return min(candidates)[-1] if candidates else None


def _rank(request: Request) -> tuple[int, int]:
    return request.rank
