"""Finding markers in text that comes in pieces."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BLANKS = re.compile(r"[ \t\r\n]{0,64}")


def after_blanks(text: str, position: int) -> int:
    """The place after white space from `position` on, of which up to 64 characters count: what is held back
    until something follows stays short.
    """
    match = _BLANKS.match(text, position)
    return match.end() if match else position


def may_become(text: str, position: int, marker: str) -> bool:
    """Whether what is left of `text` from `position` on begins the marker without being all of it."""
    return len(text) - position < len(marker) and marker.startswith(text[position:])


def held_back(text: str, markers: Sequence[str], position: int = 0) -> int:
    """The length of the longest end of `text` that begins one of the markers, without being all of it; what
    is before `position` does not count.
    """
    longest = 0
    for marker in markers:
        start = text.find(marker[0], max(position, len(text) - len(marker) + 1))
        while start >= 0 and len(text) - start > longest:
            if marker.startswith(text[start:]):
                longest = len(text) - start
                break
            start = text.find(marker[0], start + 1)
    return longest
