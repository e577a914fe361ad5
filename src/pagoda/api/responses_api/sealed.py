"""Reasoning that a client keeps for us as one opaque text (`encrypted_content`, `signature`).

It is encoded and not encrypted: whoever may read it has been given the reasoning in plain already, and a
server without users has nobody to hide it from. What other servers have sealed stays closed here.
"""

from __future__ import annotations

import base64
from typing import Any

_MARK = "pagoda1."


def seal(text: str) -> str:
    return _MARK + base64.urlsafe_b64encode(text.encode()).decode()


def unseal(sealed: Any) -> str:
    """The text, "" for what this module has not sealed."""
    if not isinstance(sealed, str) or not sealed.startswith(_MARK):
        return ""
    try:
        return base64.urlsafe_b64decode(sealed.removeprefix(_MARK)).decode()
    except ValueError:  # no base64, or no text in it
        return ""
