"""Which request is to blame when the engine process dies, and in which order the others are replayed.

A request may be what kills the engine, and a restart must not become a loop. After a death every request that
the engine had is a suspect, and replayed alone: nothing else runs until it has given some tokens more than
before. If the engine dies meanwhile, that is certain evidence. When all suspects have passed they run
together again.

A request fails at its second death in a row when it was alone in the engine at one of them, and else at its
third: a crowd that outgrows the memory is not innocent either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pagoda.engine.messages import AddRequest, TokenDelta

_CERTAIN = 2  #: deaths in a row for a request that was alone at one of them
_LIKELY = 3  #: deaths in a row in company
_TRIAL_GROWTH = 32  #: a trial asks for 1 token more, after a further death in company for 32, then for 1,024


@dataclass(slots=True, eq=False)
class LiveRequest:
    """A request that has not ended: what to tell an engine, whom to tell the news, and what it is suspected
    of.

    engine_id: what the engine calls it, None while the engine does not have it.
    """

    command: AddRequest
    deliver: Callable[[TokenDelta], None]
    generated: list[int] = field(default_factory=list)
    engine_id: str | None = None
    times_sent: int = 0
    deaths: int = 0
    was_alone: bool = False
    goal: int = 0  #: tokens at which its trial is passed
    leaving: bool = False  #: the engine was asked to give it back

    def fail(self, reason: str) -> None:
        self.deliver(TokenDelta(self.command.request_id, [], "error", error=reason))


class Trials:
    """The suspects still to be tried, in order; the first is on trial."""

    def __init__(self) -> None:
        self._queue: deque[LiveRequest] = deque()
        self._deaths_in_company = 0

    def __bool__(self) -> bool:
        return bool(self._queue)

    def judge(self, suspects: list[LiveRequest]) -> list[LiveRequest]:
        """After a death with these requests in the engine: those that fail. The others are up for trial."""
        alone = len(suspects) == 1
        if len(suspects) > 1:
            self._deaths_in_company += 1
        guilty = []
        for live in suspects:
            live.deaths += 1
            live.was_alone |= alone
            if live.deaths >= (_CERTAIN if live.was_alone else _LIKELY):
                guilty.append(live)
        others = [live for live in self._queue if live not in suspects]
        self._queue = deque([live for live in suspects if live not in guilty] + others)
        return guilty

    def next(self) -> LiveRequest | None:
        """Who is on trial now; None when all have passed."""
        if not self._queue:
            return None
        live = self._queue[0]
        live.goal = len(live.generated) + _TRIAL_GROWTH ** max(0, self._deaths_in_company - 1)
        return live

    def is_over(self, live: LiveRequest) -> bool:
        """Whether the trial of `live` has ended well with its newest tokens; it is then no longer in line."""
        if not self._queue or self._queue[0] is not live or len(live.generated) < live.goal:
            return False
        self._queue.popleft()
        return True

    def remove(self, live: LiveRequest) -> bool:
        """Takes out a request that has ended; says whether it was the one on trial."""
        if live not in self._queue:
            return False
        first = self._queue[0] is live
        self._queue.remove(live)
        return first

    def forget(self, requests: Iterable[LiveRequest]) -> None:
        """After a calm time: what has been is no evidence any more."""
        self._deaths_in_company = 0
        for live in requests:
            live.deaths = 0
            live.was_alone = False
