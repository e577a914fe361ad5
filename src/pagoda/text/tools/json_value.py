"""One JSON value in a stream of text, passed on as it comes, with a model's usual slips put right.

Valid JSON is never changed. In strings, what JSON forbids is escaped: a quote that ends nothing (no `,`, `:`
or bracket that fits follows it), a control character, a backslash that begins no escape.
"""

from __future__ import annotations

import re

from pagoda.text.markers import may_become

_IN_STRING = re.compile(r'[^"\\\x00-\x1f<]+')
_OUTSIDE = re.compile(r'[^"{}\[\],:<]+')
_LITERAL = re.compile(r"[^\s,:{}\[\]\"<]+")
_BLANK = re.compile(r"[ \t\r\n]{0,256}")  # bounds what is held back
_HEX = frozenset("0123456789abcdefABCDEF")
_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


class JsonValue:
    """Reads one value from its first character on.

    end: a marker that ends the text around the value ("" for none). Where it comes before the value is whole
    (outside strings; in a string if nothing or `start`, a new beginning, follows), the value is closed.
    """

    def __init__(self, end: str = "", start: str = "") -> None:
        self.done = False
        self._end = end
        self._start = start
        self._open: list[str] = []
        self._in_string = False
        self._is_key = False
        self._in_literal = False

    def read(self, text: str, position: int, final: bool) -> tuple[str, int]:
        """The value's text from `position` on, as far as it is certain, and the new position."""
        passed: list[str] = []
        length = len(text)
        while position < length and not self.done:
            step = self._string if self._in_string else self._literal if self._in_literal else self._outside
            moved = step(text, position, final, passed)
            if moved == position and not self.done:
                break
            position = moved
        if final and self._in_literal:
            self.done = True
        return "".join(passed), position

    def _outside(self, text: str, position: int, final: bool, passed: list[str]) -> int:
        if match := _OUTSIDE.match(text, position):
            if not self._open:  # a value that is neither object, list nor string
                self._in_literal = True
                return self._literal(text, position, final, passed)
            passed.append(match[0])
            return match.end()
        character = text[position]
        if character == "<" and self._end:
            return self._marker(text, position, final, passed)
        if not self._open and character not in '"{[':
            self.done = True
            return position
        passed.append(character)
        if character == '"':
            self._in_string = True
        elif character in "{[":
            self._open.append(character)
            self._is_key = character == "{"
        elif character in "}]":
            self._open.pop()
            self._is_key = False
            self.done = not self._open
        elif character == ":":
            self._is_key = False
        elif character == ",":
            self._is_key = self._open[-1] == "{"
        return position + 1

    def _literal(self, text: str, position: int, final: bool, passed: list[str]) -> int:
        match = _LITERAL.match(text, position)
        if match is None:
            self._in_literal, self.done = False, True
            return position
        passed.append(match[0])
        return match.end()

    def _marker(self, text: str, position: int, final: bool, passed: list[str]) -> int:
        """A `<` outside strings: the end marker closes the value, anything else is passed on."""
        if text.startswith(self._end, position):
            self._close(passed)
            return position
        if not final and may_become(text, position, self._end):
            return position
        passed.append("<")
        return position + 1

    def _string(self, text: str, position: int, final: bool, passed: list[str]) -> int:
        if match := _IN_STRING.match(text, position):
            passed.append(match[0])
            return match.end()
        character = text[position]
        if character == '"':
            return self._quote(text, position, final, passed)
        if character == "\\":
            return self._escape(text, position, final, passed)
        if character == "<":
            return self._marker_in_string(text, position, final, passed)
        passed.append(_CONTROLS.get(character) or f"\\u{ord(character):04x}")
        return position + 1

    def _quote(self, text: str, position: int, final: bool, passed: list[str]) -> int:
        after = _after_blanks(text, position + 1)
        if after == len(text):
            if not final:
                return position
            ends = True
        else:
            ends = self._ends_string(text, after)
            if not ends and not final and may_become(text, after, self._end):
                return position
        passed.append('"' if ends else '\\"')
        if ends:
            self._in_string = False
            self.done = not self._open
        return position + 1

    def _ends_string(self, text: str, after: int) -> bool:
        if self._end and text.startswith(self._end, after):
            return True
        if not self._open:
            return text[after] in ",:}]"
        if self._is_key:
            return text[after] == ":"
        return text[after] in (",}" if self._open[-1] == "{" else ",]")

    def _escape(self, text: str, position: int, final: bool, passed: list[str]) -> int:
        if position + 1 == len(text):
            if final:
                passed.append("\\")
            return position + final
        character = text[position + 1]
        if character == "u":
            digits = text[position + 2 : position + 6]
            if len(digits) < 4 and not final and all(digit in _HEX for digit in digits):
                return position
            valid = len(digits) == 4 and all(digit in _HEX for digit in digits)
        else:
            valid = character in '"\\/bfnrt'
        if valid:
            passed.append("\\" + character)
            return position + 2
        # \' is a quote that needs no escape; other strays (in regular expressions) mean the backslash itself.
        passed.append("" if character == "'" else "\\\\")
        return position + 1

    def _marker_in_string(self, text: str, position: int, final: bool, passed: list[str]) -> int:
        end = self._end
        if end and text.startswith(end, position):
            after = _after_blanks(text, position + len(end))
            rest = text[after : after + len(self._start)]
            if not final and (may_become(text, after, self._start) or not rest):
                return position
            if rest == self._start or (final and not rest):
                passed.append('"')
                self._close(passed)
                return position
        elif not final and may_become(text, position, end):
            return position
        passed.append("<")
        return position + 1

    def _close(self, passed: list[str]) -> None:
        passed.extend("}" if bracket == "{" else "]" for bracket in reversed(self._open))
        self._open.clear()
        self._in_string = False
        self.done = True


def _after_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position
