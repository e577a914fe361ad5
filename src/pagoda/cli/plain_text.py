"""Text that cannot steer a terminal."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain_text(text: str) -> str:
    """`text` without control characters; newlines and tabs stay."""
    return _CONTROL.sub("", text)
