"""Mistral: `[TOOL_CALLS]` before a JSON list of calls, or (tokenizer version 11 on) before each `name{...}`.

Newer ones write `name[ARGS]{...}` or `name[CALL_ID]id[ARGS]{...}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pagoda.text.markers import after_blanks
from pagoda.text.tools.json_list import JsonListParser
from pagoda.text.tools.json_value import JsonValue

_MARKER = "[TOOL_CALLS]"
_HEAD = re.compile(
    r"([^\s\[\]{}]{1,256})\s{0,16}(?:\[CALL_ID\]([^\[\]{}]{0,64}))?(?:\[ARGS\])?\s{0,16}(?=\{)"
)
_LONGEST_HEAD = 400
_ID_LENGTH = 9  # what its templates demand


class MistralParser(JsonListParser):
    """Ids are nine letters and digits, which its chat templates insist on."""

    def __init__(self, new_id: Callable[[], str], tools: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__((_MARKER,), lambda: short_id(new_id()), tools)
        self._form: str = ""
        self._value: JsonValue | None = None

    def begin_call(self, marker: str) -> None:
        self._form = ""
        self._value = None
        self.begin_list(marker)

    def read_call(self, text: str, position: int, final: bool) -> int:
        if self._value is not None:
            piece, position = self._value.read(text, position, final)
            self.add_arguments(piece)
            if self._value.done:
                self.end_call()
            return position
        if self._form == "list":
            return self.read_list(text, position, final)
        after = after_blanks(text, position)
        if after == len(text) and not final:
            return position
        if text.startswith(("[", "{"), after):
            self._form = "list"
            return self.read_list(text, position, final)
        match = _HEAD.match(text, after)
        if match is not None:
            self.open_call(match[1])
            self._value = JsonValue()
            return match.end()
        if final or len(text) - after > _LONGEST_HEAD:
            self.no_call(_MARKER)
        return position


def short_id(identity: str) -> str:
    """Nine letters and digits from the end of an id."""
    kept = "".join(character for character in identity if character.isascii() and character.isalnum())
    return kept[-_ID_LENGTH:].rjust(_ID_LENGTH, "0")
