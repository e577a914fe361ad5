"""Logging."""

from __future__ import annotations

import logging
from typing import Any


def start_logger(*_arguments: Any, **_options: Any) -> None:
    """Logs go where prints go."""
    logging.basicConfig(level=logging.INFO)
