"""Llama 3 and 4: a call is a bare JSON object, `{"name": ..., "parameters": {...}}`, `;` between several."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pagoda.text.markers import may_become
from pagoda.text.tool_schema import tool_names
from pagoda.text.tools.json_call import JsonCall
from pagoda.text.tools.json_parser import JsonParser

_TAG = "<|python_tag|>"
_KEYS = frozenset(("name", "parameters", "arguments", "type", "id", "function"))
_SEPARATOR = re.compile(r"[ \t\r\n]{0,64}[;,]?[ \t\r\n]{0,64}")


class LlamaJsonParser(JsonParser):
    """With no marker to go by, an object is a call only if it names one of the tools; else it is content."""

    def __init__(self, new_id: Callable[[], str], tools: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__((_TAG, "{"), new_id, tools)
        self._names = tool_names(tools)
        self._separator = ""

    def begin_call(self, marker: str) -> None:
        self._call = JsonCall(accepts_name=self._names.__contains__, keys=_KEYS)
        self._raw = [self._separator, marker]
        self._separator = ""
        if marker == "{":
            self._call.read(marker, 0, False)

    def read_call(self, text: str, position: int, final: bool) -> int:
        if self._call.done:
            return self._read_separator(text, position, final)
        moved = self.read_object(text, position, final)
        if self._call.done:
            return self._read_separator(text, moved, final)
        return moved

    def _read_separator(self, text: str, position: int, final: bool) -> int:
        match = _SEPARATOR.match(text, position)
        after = match.end() if match else position
        if not final and may_become(text, after, _TAG):
            return position
        self.end_call()
        if text.startswith(("{", _TAG), after):
            self._separator = text[position:after]
            return after
        return after if after == len(text) else position
