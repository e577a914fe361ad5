"""Pagoda and llama.cpp on the same file, in turn, and the medians of the ratios of neighbouring runs."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from benchmarks.client import Timing, Worker
from benchmarks.workloads import Workload


@dataclass(frozen=True, slots=True)
class Runs:
    """Timings of one workload. With a peer they are pairs: ours[i] and theirs[i] ran one after the other."""

    workload: Workload
    ours: list[Timing]
    theirs: list[Timing]

    def times_as_fast(self) -> float:
        """The median over the pairs of the peer's time by Pagoda's."""
        return median(b.seconds / a.seconds for a, b in zip(self.ours, self.theirs, strict=True))


def time_in_turn(
    workload: Workload, ours: Worker, theirs: Worker | None, vocab_size: int, repeats: int
) -> Runs:
    """A run of each that is not counted, then A B A B; both engines stay loaded and idle in between."""
    found = Runs(workload, [], [])
    for count in range(-1, repeats):
        first = ours.time(workload, vocab_size)
        second = theirs.time(workload, vocab_size) if theirs else None
        if count >= 0:
            found.ours.append(first)
            if second:
                found.theirs.append(second)
    return found
