"""Finds an answer that says the same again and again."""

from __future__ import annotations

from collections.abc import Sequence

from pagoda.engine.params import RepetitionDetectionParams


def ends_in_repetition(token_ids: Sequence[int], wanted: RepetitionDetectionParams) -> bool:
    """Whether the last tokens are one pattern of the sizes wanted, min_count times in a row."""
    if wanted.max_pattern_size == 0:
        return False
    count = len(token_ids)
    for size in range(max(1, wanted.min_pattern_size), wanted.max_pattern_size + 1):
        span = size * (wanted.min_count - 1)
        if span + size > count:
            return False
        # Each token equals the one a pattern earlier; most sizes fail at the first look.
        if all(token_ids[-i] == token_ids[-i - size] for i in range(1, span + 1)):
            return True
    return False
