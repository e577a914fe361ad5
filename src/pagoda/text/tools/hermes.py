"""Hermes (Qwen2.5, QwQ, Qwen3): each call is a JSON object between `<tool_call>` and `</tool_call>`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pagoda.text.markers import may_become
from pagoda.text.tools.json_call import JsonCall
from pagoda.text.tools.json_parser import JsonParser

_CLOSE = re.compile(r"[ \t\r\n}]{0,64}")
START = "<tool_call>"
END = "</tool_call>"


class HermesParser(JsonParser):
    """The end tag may be missing, and text may stand between calls and after them."""

    def __init__(self, new_id: Callable[[], str], tools: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__((START,), new_id, tools)

    def begin_call(self, marker: str) -> None:
        self._call = JsonCall(END, START)
        self._raw = [marker]

    def read_call(self, text: str, position: int, final: bool) -> int:
        while not self._in_content:
            before = (position, self._call, self._call.done)
            step = self._read_end if self._call.done else self.read_object
            position = step(text, position, final)
            if before == (position, self._call, self._call.done):
                break
        return position

    def _read_end(self, text: str, position: int, final: bool) -> int:
        """The end tag, after white space and brackets too many, or another object between the same tags;
        anything else is content again.
        """
        close = _CLOSE.match(text, position)
        after = close.end() if close else position
        if text.startswith(END, after):
            self.end_call()
            return after + len(END)
        if text.startswith("{", after):
            self._call = JsonCall(END, START)
            self._raw = [text[position:after]]
            return after
        if final or not may_become(text, after, END):
            self.end_call()
            return position
        return position
