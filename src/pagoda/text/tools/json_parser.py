"""What the parsers share that read calls as JSON objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pagoda.text.tools.json_call import JsonCall
from pagoda.text.tools.stream import ToolParser


class JsonParser(ToolParser):
    """`_raw` is what has been read of something that may yet turn out to be no call: content then."""

    def __init__(
        self, markers: Sequence[str], new_id: Callable[[], str], tools: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__(markers, new_id, tools)
        self._call = JsonCall()
        self._raw: list[str] | None = None

    def keep(self, text: str) -> None:
        if self._raw is not None:
            self._raw.append(text)

    def read_object(self, text: str, position: int, final: bool) -> int:
        """Reads on in the object; afterwards `_call` is done, has failed, or wants more."""
        moved = self._call.read(text, position, final)
        self.keep(text[position:moved])
        if self._raw is not None and self._call.name is not None:
            self.open_call(self._call.name)
            self._raw = None
        self.add_arguments(self._call.take())
        if self._call.failed:
            self.no_call("".join(self._raw or ()))
        return moved
