"""The last lines of the log, for the page: kept in memory, bounded, without secrets and without prompts."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MOST_LINES = 2000
_LONGEST = 8000  #: characters of a line, which may be a whole traceback
_HIDDEN = "•••"
_SECRETS = (
    (re.compile(r"\b(sk|hf|pk|gsk|ghp|xox[bap])[-_][\w-]{12,}"), rf"\1-{_HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {_HIDDEN}"),
    (re.compile(r"(://[^\s/:@]*:)[^\s/@]+@"), rf"\1{_HIDDEN}@"),
    (re.compile(r"(/api/(?:invitations|shared)/)[\w%-]+"), rf"\1{_HIDDEN}"),
    (
        re.compile(
            r"(?i)\b((?:[\w-]*[_-])?(?:key|token|password|passwd|secret|invitation)[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"'&,;]{4,}"
        ),
        rf"\1{_HIDDEN}",
    ),
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """seq: grows from line to line, also over restarts of the server. at: milliseconds. source: server or
    engine.
    """

    seq: int
    at: int
    level: str
    source: str
    text: str


class LogRing(logging.Handler):
    """silent: names of loggers whose lines hold what people wrote, and stay out."""

    def __init__(self, silent: Collection[str] = (), most: int = MOST_LINES) -> None:
        super().__init__()
        self._silent = frozenset(silent)
        self._lines: deque[LogLine] = deque(maxlen=most)
        self._last = time.time_ns() // 1_000_000

    @property
    def last(self) -> int:
        """The number of the newest line."""
        return self._last

    def emit(self, record: logging.LogRecord) -> None:
        if record.name in self._silent:
            return
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self._put(int(record.created * 1000), record.levelname, "server", text)

    def note(self, text: str) -> None:
        """What the server says on the console, outside of the log."""
        self._say("INFO", "server", text)

    def engine_line(self, text: str) -> None:
        """A line that an engine's process wrote by itself, on standard error."""
        if text.strip():
            self._say("WARNING", "engine", text)

    def lines(self, after: int = 0, level: str = "DEBUG", limit: int = MOST_LINES) -> list[LogLine]:
        """The newest lines of a level or above it that came after a number, the oldest of them first."""
        wanted = LEVELS[LEVELS.index(level) :]
        self.acquire()
        try:
            kept = list(self._lines)
        finally:
            self.release()
        newer = (line for line in reversed(kept) if line.seq > after and line.level in wanted)
        return list(islice(newer, limit))[::-1]

    def _say(self, level: str, source: str, text: str) -> None:
        self.acquire()
        try:
            self._put(time.time_ns() // 1_000_000, level, source, text)
        finally:
            self.release()

    def _put(self, at: int, level: str, source: str, text: str) -> None:
        self._last += 1
        self._lines.append(LogLine(self._last, at, level, source, without_secrets(text[:_LONGEST])))


def without_secrets(text: str) -> str:
    """The text with what looks like a key, a password or a token taken out."""
    for pattern, put in _SECRETS:
        text = pattern.sub(put, text)
    return text
