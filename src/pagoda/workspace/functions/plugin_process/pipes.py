"""What a pipe returns or yields, as items of one shape:
{"text": ...}, {"chunk": chat.completion.chunk or the like}, {"event": ...} or {"raw": ...}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Item = dict[str, Any]
_DONE = "[DONE]"


def items_of(value: Any, lines: SseLines) -> Iterator[Item]:
    """One yielded value as items; text that begins with `data:` is server-sent events."""
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value).decode("utf-8", "replace")
    if isinstance(value, str):
        if lines.waits or value.startswith("data:"):
            yield from lines.feed(value if value.endswith("\n") or lines.raw else value + "\n")
        elif value:
            yield {"text": value}
        return
    if callable(dump := getattr(value, "model_dump", None)):
        value = dump()
    if isinstance(value, dict):
        yield {"event": value["event"]} if "event" in value else {"chunk": value}
    elif value is not None:
        raise NonsenseError(f"a pipe gives text or objects, and this one gave {type(value).__name__}")


class NonsenseError(TypeError):
    """A handler answered something that its contract does not know."""


class SseLines:
    """Cuts server-sent events out of pieces of text. raw: pieces may end anywhere."""

    def __init__(self, *, raw: bool = False) -> None:
        self.raw = raw
        self._rest = ""

    @property
    def waits(self) -> bool:
        return self.raw or bool(self._rest)

    def feed(self, text: str) -> Iterator[Item]:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            yield from self._line(line.rstrip("\r"))

    def end(self) -> Iterator[Item]:
        """What is left after the last piece."""
        rest, self._rest = self._rest, ""
        yield from self._line(rest)

    @staticmethod
    def _line(line: str) -> Iterator[Item]:
        if not line.startswith("data:"):
            return  # names of events, comments, keep-alives
        data = line[5:].strip()
        if not data or data == _DONE:
            return
        try:
            found = json.loads(data)
        except ValueError:
            yield {"text": data}
            return
        if isinstance(found, dict):
            yield {"event": found["event"]} if "event" in found else {"chunk": found}
