"""Ids, times and texts as the database holds them."""

from __future__ import annotations

import json
import re
import secrets
import time
from typing import Any

from sqlalchemy import String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_ID_BYTES = 16
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_NO_TEXT_IN_JSON = re.compile(r"((?<!\\)(?:\\\\)*)\\u0000|[\ud800-\udfff]")


def new_id() -> str:
    """22 url-safe characters of 128 random bits: nobody finds one by guessing."""
    return secrets.token_urlsafe(_ID_BYTES)


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def clean(text: str) -> str:
    """The text with U+FFFD for what no database takes as text: NUL and lone halves of surrogate pairs."""
    return _NO_TEXT.sub("\ufffd", text)


def to_json(value: Any) -> str:
    """JSON for a column, its texts as `clean` leaves them. ValueError for Infinity and NaN."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    if "\\u0000" not in text and _is_text(text):  # nearly always, and far faster to see
        return text
    return _NO_TEXT_IN_JSON.sub(lambda match: (match[1] or "") + "\ufffd", text)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class CleanText(TypeDecorator[str]):
    """A text of any length, cleaned on its way in."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean(value)
