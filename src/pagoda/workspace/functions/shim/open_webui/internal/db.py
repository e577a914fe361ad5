"""The database is the server's alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def get_db() -> Iterator[Any]:
    """Raises RuntimeError: functions ask `open_webui.models` instead."""
    raise RuntimeError("functions cannot reach the database; use open_webui.models")
    yield


get_db_context = get_db
