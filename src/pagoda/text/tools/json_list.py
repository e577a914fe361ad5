"""Calls in a JSON list, `[{"name": ..., "arguments": {...}}, ...]`, with or without a marker before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pagoda.text.tools.json_call import JsonCall
from pagoda.text.tools.json_parser import JsonParser
from pagoda.text.tools.json_value import JsonValue
from pagoda.text.tools.stream import SPACE, ToolParser


class JsonListParser(JsonParser):
    """Reads such a list, or one object without the brackets."""

    def __init__(
        self, markers: Sequence[str], new_id: Callable[[], str], tools: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__(markers, new_id, tools)
        self._place: Literal["before", "object", "between"] = "before"
        self._bracketed = False
        self._gap: list[str] = []  # white space after an object

    def begin_list(self, raw: str) -> None:
        """A list may begin; `raw` is what announced it, content if none does."""
        self._place, self._bracketed, self._raw = "before", False, [raw]

    def read_list(self, text: str, position: int, final: bool) -> int:
        """As read_call."""
        while not self._in_content:
            place = self._place
            step = self._read_listed if place == "object" else self._read_bracket
            moved = step(text, position, final)
            if moved == position and place == self._place:
                break
            position = moved
        return position

    def _read_bracket(self, text: str, position: int, final: bool) -> int:
        after = position
        while after < len(text) and text[after] in SPACE:
            after += 1
        space, character = text[position:after], text[after : after + 1]
        before = self._place == "before"
        if not before:
            self._gap.append(space)
        if not character and not final:
            self.keep(space)
        elif character == "{" and before:
            self.keep(space)
            self._place, self._call = "object", JsonCall()
        elif character == "[" and before:
            self.keep(space + character)
            self._bracketed, self._place, self._call = True, "object", JsonCall()
            return after + 1
        elif character == "," and self._bracketed:
            self._raw = [*self._gap, character]
            self._place, self._call = "object", JsonCall()
            return after + 1
        elif character == "]" and self._bracketed:
            self.end_call()
            return after + 1
        elif before:
            self.no_call("".join(self._raw or ()) + space)
        else:
            self.end_call()
            self.pass_content("".join(self._gap))
        return after

    def _read_listed(self, text: str, position: int, final: bool) -> int:
        moved = self.read_object(text, position, final)
        if self._call.done:
            self._place = "between"
            self._gap = []
        return moved


class RequiredParser(JsonListParser):
    """The whole answer is the list that tool_choice "required" forces, of names with parameters."""

    def __init__(self, new_id: Callable[[], str], tools: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__((), new_id, tools)
        self._in_content = False
        self.begin_list("")

    def begin_call(self, marker: str) -> None:
        self.begin_list(marker)

    def read_call(self, text: str, position: int, final: bool) -> int:
        return self.read_list(text, position, final)


class NamedParser(ToolParser):
    """The whole answer is the arguments object of one function, which is called."""

    def __init__(
        self, new_id: Callable[[], str], tools: Sequence[Mapping[str, Any]] = (), *, name: str
    ) -> None:
        super().__init__((), new_id, tools)
        self._in_content = False
        self._name = name
        self._value: JsonValue | None = None

    def begin_call(self, marker: str) -> None:
        self._value = None

    def read_call(self, text: str, position: int, final: bool) -> int:
        if self._value is None:
            after = position
            while after < len(text) and text[after] in SPACE:
                after += 1
            if after == len(text):
                return after
            if text[after] != "{":
                self.no_call("")
                return after
            self.open_call(self._name)
            self._value = JsonValue()
            position = after
        piece, position = self._value.read(text, position, final)
        self.add_arguments(piece)
        if self._value.done:
            self.end_call()
        return position
