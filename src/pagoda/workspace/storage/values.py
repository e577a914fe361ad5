"""Ids and times as the database holds them."""

from __future__ import annotations

import secrets
import time

_ID_BYTES = 16


def new_id() -> str:
    """22 url-safe characters of 128 random bits: nobody finds one by guessing."""
    return secrets.token_urlsafe(_ID_BYTES)


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
