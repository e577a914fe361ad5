"""How much memory is left for one more model, beside what the loaded ones have been promised."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from pagoda.engine.memory import available_bytes


@dataclass(frozen=True, slots=True)
class Holding:
    """What an engine has reserved for weights and cache, and its process: it takes memory as it needs it."""

    reserved_bytes: int
    pid: int


def resident_bytes(pid: int) -> int:
    """Memory that a process holds now; 0 where that cannot be read."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_left(
    holdings: Iterable[Holding],
    limit: int | None,
    *,
    available: Callable[[], int | None] = available_bytes,
    resident: Callable[[int], int] = resident_bytes,
) -> int | None:
    """Bytes for a further engine; None where neither the machine nor `limit` bounds it.

    What an engine has reserved and not taken yet is still counted as free by the machine, and is not.
    limit: for all engines together.
    """
    known = list(holdings)
    bounds = []
    free = available()
    if free is not None:
        promised = sum(max(0, holding.reserved_bytes - resident(holding.pid)) for holding in known)
        bounds.append(free - promised)
    if limit is not None:
        bounds.append(limit - sum(holding.reserved_bytes for holding in known))
    return max(0, min(bounds)) if bounds else None
