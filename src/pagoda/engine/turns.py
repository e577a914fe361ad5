"""Who is next among groups of prompts: fair queueing (Demers, Keshav and Shenker 1989).

A prompt's turn is the work that every waiting group would have got, were all served evenly, when the group's
prompts before it are done. So a single text need not wait for the ten thousand that came before it in one
request, and they are not starved by single texts that keep coming.
"""

from __future__ import annotations


class Turns:
    """Turns of prompts in groups; smaller ones go first."""

    def __init__(self) -> None:
        self._now = 0.0  # the work that every group would have got by now
        self._ends: dict[str, float] = {}  # of each group that waits, where its next prompt's turn begins
        self._waiting: dict[str, int] = {}  # prompts of each group

    def take(self, group: str, cost: int) -> float:
        """The turn of a new prompt that costs so much work."""
        turn = max(self._now, self._ends.get(group, 0.0))
        self._ends[group] = turn + cost
        self._waiting[group] = self._waiting.get(group, 0) + 1
        return turn

    def serve(self, group: str, turn: float, cost: int) -> None:
        """A prompt has got its turn."""
        self._now = max(self._now + cost / len(self._waiting), turn)
        self.leave(group)

    def leave(self, group: str) -> None:
        """A prompt waits no more."""
        self._waiting[group] -= 1
        if not self._waiting[group]:
            del self._waiting[group], self._ends[group]
