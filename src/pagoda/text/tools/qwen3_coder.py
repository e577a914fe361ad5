"""Qwen3-Coder and Qwen3.5: calls in tags, values as plain text.

`<tool_call>` `<function=NAME>` `<parameter=P>` VALUE `</parameter>` ... `</function>` `</tool_call>`, each on
a line of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pagoda.text.markers import after_blanks, held_back, may_become
from pagoda.text.tool_schema import parameters_schema, tool_names
from pagoda.text.tools.coercion import coerced, json_string, value_types
from pagoda.text.tools.json_call import is_name
from pagoda.text.tools.stream import SPACE, ToolParser

_CALL, _CALL_END = "<tool_call>", "</tool_call>"
_FUNCTION, _FUNCTION_END = "<function=", "</function>"
_PARAMETER, _PARAMETER_END = "<parameter=", "</parameter>"
_BETWEEN = (_PARAMETER, _FUNCTION_END, _CALL_END, _FUNCTION, _CALL)
#: A value ends at its end tag, or where that is missing at a line that begins the next part.
_VALUE_ENDS = (
    "\n" + _PARAMETER_END,
    _PARAMETER_END,
    "\n" + _PARAMETER,
    "\n" + _FUNCTION_END,
    "\n" + _CALL_END,
)
_VALUE_END = re.compile("|".join(map(re.escape, _VALUE_ENDS)))
_LONGEST_NAME = 256


class Qwen3CoderParser(ToolParser):
    """Strings are passed on as they come, other values when they are whole. `<tool_call>`, `</parameter>` and
    `</function>` may be missing; without `<tool_call>` the function must be one of the tools.
    """

    def __init__(self, new_id: Callable[[], str], tools: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__((_CALL, _FUNCTION), new_id, tools)
        self._names = tool_names(tools)
        self._state: Callable[[str, int, bool], int] = self._read_function
        self._raw: list[str] = []
        self._marked = False
        self._schema: Mapping[str, Any] = {}
        self._parameters = 0
        self._types: frozenset[str] = frozenset()
        self._value: list[str] | None = None  # a value that is passed on when it is whole
        self._first = False

    def begin_call(self, marker: str) -> None:
        self._raw = [marker]
        self._marked = marker == _CALL
        self._state = self._read_function if self._marked else self._read_name

    def read_call(self, text: str, position: int, final: bool) -> int:
        while not self._in_content:
            state = self._state
            moved = state(text, position, final)
            if moved == position and state == self._state:
                break
            position = moved
        return position

    def _read_function(self, text: str, position: int, final: bool) -> int:
        after = after_blanks(text, position)
        if text.startswith(_FUNCTION, after):
            self._raw.append(text[position : after + len(_FUNCTION)])
            self._state = self._read_name
            return after + len(_FUNCTION)
        if final or not may_become(text, after, _FUNCTION):
            self.no_call("".join(self._raw))
        return position

    def _read_name(self, text: str, position: int, final: bool) -> int:
        end = text.find(">", position, position + _LONGEST_NAME)
        name = text[position:end].strip() if end >= 0 else ""
        if is_name(name) and (self._marked or name in self._names):
            self.open_call(name)
            self.add_arguments("{")
            schema = parameters_schema(self.tools, name)
            properties = schema.get("properties")
            self._schema = schema if isinstance(properties, Mapping) else {**schema, "properties": {}}
            self._parameters = 0
            self._state = self._read_between
            return end + 1
        if final or end >= 0 or len(text) - position >= _LONGEST_NAME:
            self.no_call("".join(self._raw))
        return position

    def _read_between(self, text: str, position: int, final: bool) -> int:
        """What stands between parameters: white space, and whatever else is there does not count."""
        start = text.find("<", position)
        if start < 0:
            if final:
                self._end_function(complete=self._parameters > 0 and not text[position:].strip(SPACE))
            return len(text)
        marker = next((each for each in _BETWEEN if text.startswith(each, start)), None)
        if marker is None:
            if not final and any(may_become(text, start, each) for each in _BETWEEN):
                return start
            if final:
                self._end_function(complete=False)
                return len(text)
            return start + 1
        if marker == _PARAMETER:
            self._state = self._read_parameter_name
            return start + len(marker)
        self._end_function(complete=True)
        if marker == _FUNCTION_END:
            self._in_content = False
            self._state = self._read_end
        return start if marker in (_FUNCTION, _CALL) else start + len(marker)

    def _end_function(self, *, complete: bool) -> None:
        if complete:
            self.add_arguments("}")
        self.end_call()

    def _read_end(self, text: str, position: int, final: bool) -> int:
        after = after_blanks(text, position)
        if text.startswith(_CALL_END, after):
            self.end_call()
            return after + len(_CALL_END)
        if final or not may_become(text, after, _CALL_END):
            self.end_call()
        return position

    def _read_parameter_name(self, text: str, position: int, final: bool) -> int:
        end = text.find(">", position, position + _LONGEST_NAME)
        if end < 0:
            if final:
                self._end_function(complete=False)
                return len(text)
            if len(text) - position >= _LONGEST_NAME:
                self._state = self._read_between
            return position
        name = text[position:end].strip()
        self._types = value_types(self._schema["properties"].get(name), self._schema)
        separator = ", " if self._parameters else ""
        self._parameters += 1
        opening = f"{separator}{json.dumps(name, ensure_ascii=False)}: "
        if self._types <= {"string"}:
            self.add_arguments(opening + '"')
            self._value = None
        else:
            self._value = [opening]
        self._first = True
        self._state = self._read_value
        return end + 1

    def _read_value(self, text: str, position: int, final: bool) -> int:
        match = _VALUE_END.search(text, position)
        if match is not None:
            self._add_value(text[position : match.start()])
            self._end_value()
            self._state = self._read_between
            return match.end() if match[0].endswith(_PARAMETER_END) else match.start()
        end = len(text) if final else len(text) - held_back(text, _VALUE_ENDS, position)
        self._add_value(text[position:end])
        if final:  # the text breaks off: so do the arguments
            self.end_call()
        return end

    def _add_value(self, text: str) -> None:
        if not text:
            return
        if self._first:
            self._first = False
            text = text.removeprefix("\n")
        if self._value is None:
            self.add_arguments(json_string(text))
        else:
            self._value.append(text)

    def _end_value(self) -> None:
        if self._value is None:
            self.add_arguments('"')
        else:
            self.add_arguments(self._value[0] + coerced("".join(self._value[1:]), self._types))
