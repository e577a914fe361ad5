"""What all parsers of tool calls share: the text not yet understood, content between calls, and the news."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pagoda.text.markers import held_back
from pagoda.text.parsing import MessageDelta, ToolCallDelta

SPACE = " \t\r\n"


class ToolParser(ABC):
    """An AnswerParser of one format. Subclasses say which markers calls begin with and read what follows.

    White space next to a call belongs to the format: it is dropped before a call, and after the last one.
    """

    def __init__(
        self, markers: Sequence[str], new_id: Callable[[], str], tools: Sequence[Mapping[str, Any]]
    ) -> None:
        self.tools = tools
        self._markers = tuple(markers)
        self._marker = re.compile("|".join(map(re.escape, self._markers)))
        self._firsts = tuple({marker[0] for marker in markers})
        self._new_id = new_id
        self._text = ""  # not yet understood; short
        self._space: list[str] = []  # white space that a call may follow
        self._after_call = False
        self._in_content = True
        self._content: list[str] = []  # news
        self._delta = MessageDelta()  # of calls
        self._calls = 0

    def push(self, text: str) -> MessageDelta:
        """What new text gives; what may be the beginning of a marker is held back."""
        if self._in_content and not self._text and not any(first in text for first in self._firsts):
            self.pass_content(text)  # most of what is ever pushed
            return self._take()
        self._read(text, final=False)
        return self._take()

    def finish(self) -> MessageDelta:
        """The rest, when no text follows. Called once."""
        self._read("", final=True)
        if not self._after_call:
            self._content += self._space
        return self._take()

    def _take(self) -> MessageDelta:
        delta, self._delta = self._delta, MessageDelta()
        if self._content:
            delta.content = "".join(self._content)
            self._content.clear()
        return delta

    def _read(self, text: str, *, final: bool) -> None:
        if self._text:
            text = self._text + text
        position = 0
        while True:
            was_content = self._in_content
            step = self._read_content if was_content else self.read_call
            moved = step(text, position, final)
            if moved == position and was_content == self._in_content:
                break
            position = moved
        self._text = text[position:]

    @abstractmethod
    def begin_call(self, marker: str) -> None:
        """A marker has been found; what follows it goes to read_call."""

    @abstractmethod
    def read_call(self, text: str, position: int, final: bool) -> int:
        """Reads on in a call from `position`, as far as it can; the new position. When `final`, nothing may
        be left. Ends with end_call or no_call.
        """

    def _read_content(self, text: str, position: int, final: bool) -> int:
        match = self._marker.search(text, position) if self._markers else None
        if match is not None:
            self.pass_content(text[position : match.start()])
            self._in_content = False
            self.begin_call(match[0])
            return match.end()
        end = len(text) if final else len(text) - held_back(text, self._markers, position)
        self.pass_content(text[position:end])
        return end

    def pass_content(self, text: str) -> None:
        body = text.rstrip(SPACE)
        if body:
            self._content += self._space
            self._content.append(body)
            self._space.clear()
            self._after_call = False
        if len(body) < len(text):
            self._space.append(text[len(body) :])

    def open_call(self, name: str) -> int:
        """Announces a call; its index."""
        self._space.clear()
        index = self._calls
        self._calls += 1
        self._delta.tool_calls.append(ToolCallDelta(index, self._new_id(), name))
        return index

    def add_arguments(self, text: str) -> None:
        """More arguments of the call announced last."""
        if not text:
            return
        news = self._delta.tool_calls
        if news and news[-1].index == self._calls - 1:
            news[-1].arguments += text
        else:
            news.append(ToolCallDelta(self._calls - 1, arguments=text))

    def end_call(self) -> None:
        """The call is over; content may follow."""
        self._in_content = True
        self._after_call = True

    def no_call(self, text: str) -> None:
        """It was no call; `text`, all that was taken for one, is content."""
        self._in_content = True
        self.pass_content(text)
