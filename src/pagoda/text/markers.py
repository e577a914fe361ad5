"""Finding markers in text that comes in pieces."""

from __future__ import annotations

from collections.abc import Sequence


def held_back(text: str, markers: Sequence[str]) -> int:
    """The length of the longest end of `text` that begins one of the markers, without being all of it."""
    longest = 0
    for marker in markers:
        start = text.find(marker[0], max(0, len(text) - len(marker) + 1))
        while start >= 0 and len(text) - start > longest:
            if marker.startswith(text[start:]):
                longest = len(text) - start
                break
            start = text.find(marker[0], start + 1)
    return longest
