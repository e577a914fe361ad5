"""A call written as a JSON object, `{"name": ..., "arguments": {...}}`, read as it comes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from pagoda.text.markers import may_become
from pagoda.text.tools.json_value import JsonValue

_SPACE = re.compile(r"[ \t\r\n]*")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ARGUMENTS = ("arguments", "parameters")
_LONGEST_NAME = 512  # bounds what is held back


def is_name(text: str) -> bool:
    """Whether a function may be called so."""
    return bool(text.strip()) and text.isprintable()


class JsonCall:
    """Reads one object from its `{` on. `name` is known once the arguments begin, or are known to be none;
    from then on `take` gives new pieces of them, "{}" in all for none. It ends as `done`, or as `failed`: it
    was no call, and reading stopped where that was seen.

    accepts_name: which names a call may have. keys: which ones may come before it is known to be a call. end,
    start: see JsonValue.
    """

    def __init__(
        self,
        end: str = "",
        start: str = "",
        *,
        accepts_name: Callable[[str], bool] | None = None,
        keys: frozenset[str] | None = None,
    ) -> None:
        self.done = False
        self.failed = False
        self.name: str | None = None
        self._markers = (end, start)
        self._accepts_name = accepts_name or is_name
        self._keys = keys
        self._step = self._open
        self._waits = False
        self._found_name: str | None = None
        self._key = ""
        self._value = JsonValue()
        self._sink: list[str] = []
        self._arguments: list[str] | None = None
        self._streams = False  # arguments that are an object or a list; others are known when they end

    def read(self, text: str, position: int, final: bool) -> int:
        """Reads on from `position`; the new position. After a `final` reading it is done or failed."""
        self._waits = False
        while not (self.done or self.failed or self._waits):
            if self._step != self._in_value and (space := _SPACE.match(text, position)):
                position = space.end()
            if position == len(text):
                break
            position = self._step(text, position, final)
        if final and not self.done:
            self._fail()
        return position

    def take(self) -> str:
        """New text of the arguments; "" while there is no name."""
        if self.name is None or not self._arguments:
            return ""
        text = "".join(self._arguments)
        self._arguments.clear()
        return text

    def _open(self, text: str, position: int, final: bool) -> int:
        if text[position] != "{":
            return self._fail(position)
        self._step = self._member
        return position + 1

    def _member(self, text: str, position: int, final: bool) -> int:
        if text[position] == ",":
            return position + 1
        if text[position] == "}":
            return self._close(position)
        key = self._short_text(text, position, final)
        if key is None:
            return position
        self._key, moved = key
        if self._keys is not None and self.name is None and self._key not in self._keys:
            return self._fail(position)
        self._step = self._colon
        return moved

    def _colon(self, text: str, position: int, final: bool) -> int:
        if text[position] != ":":
            return self._fail(position)
        self._step = self._begin_value
        return position + 1

    def _begin_value(self, text: str, position: int, final: bool) -> int:
        if self._key == "name" and self._found_name is None:
            name = self._short_text(text, position, final)
            if name is None:
                return position
            if not self._accepts_name(name[0]):
                return self._fail(position)
            self._found_name = name[0]
            if self._streams:
                self.name = self._found_name
            self._step = self._after
            return name[1]
        self._value = JsonValue(*self._markers)
        self._sink = []
        if self._key in _ARGUMENTS and self._arguments is None:
            self._arguments = self._sink
            self._streams = text[position] in "{["
            if self._streams:
                self.name = self._found_name
        self._step = self._in_value
        return position

    def _in_value(self, text: str, position: int, final: bool) -> int:
        piece, moved = self._value.read(text, position, final)
        if self._sink is self._arguments:
            self._sink.append(piece)
        if self._value.done:
            self._step = self._after
        else:
            self._waits = True
        return moved

    def _after(self, text: str, position: int, final: bool) -> int:
        character = text[position]
        if character == ",":
            self._step = self._member
            return position + 1
        if character == "}":
            return self._close(position)
        end = self._markers[0]
        if end and self.name is None and self._found_name is not None:
            if text.startswith(end, position):  # the object's own bracket is missing
                return self._close(position) - 1
            if not final and may_become(text, position, end):
                self._waits = True
                return position
        return self._fail(position)

    def _close(self, position: int) -> int:
        if self._found_name is None:
            return self._fail(position)
        if self.name is None:
            self.name = self._found_name
            self._arguments = [_whole_arguments("".join(self._arguments or ()))]
        self.done = True
        return position + 1

    def _fail(self, position: int = 0) -> int:
        self.failed = self.name is None
        self.done = not self.failed
        return position

    def _short_text(self, text: str, position: int, final: bool) -> tuple[str, int] | None:
        """A string and where it ends; None where more text is needed or it is none."""
        match = _TEXT.match(text, position, position + _LONGEST_NAME)
        if match is not None:
            try:
                return json.loads(match[0], strict=False), match.end()
            except ValueError:
                self._fail()
                return None
        if text[position] != '"' or final or len(text) - position >= _LONGEST_NAME:
            self._fail()
        self._waits = True
        return None


def _whole_arguments(text: str) -> str:
    """Arguments that are no JSON object as they stand: none at all, or an object written into a string."""
    if text in ("", "null", '""'):
        return "{}"
    if text.startswith('"'):
        try:
            inner = json.loads(text, strict=False)
            inner.encode()  # no lone surrogates
            if isinstance(json.loads(inner), dict):
                return str(inner)
        except (ValueError, RecursionError):
            return text
    return text
