"""What parsers make of a model's text: reasoning, content and tool calls, piece by piece.

Every parser is pure and incremental: however the text is cut into pieces, the deltas put together are the
same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(slots=True)
class ToolCallDelta:
    """News of one tool call. The first one of an index has `id` and `name`, later ones only arguments.

    arguments: a piece of the JSON text; put together the pieces are never empty ("{}" for no arguments).
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(slots=True)
class MessageDelta:
    """News of an answer, in the order reasoning, content, tool calls."""

    reasoning: str = ""
    content: str = ""
    tool_calls: list[ToolCallDelta] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.reasoning or self.content or self.tool_calls)


class AnswerParser(Protocol):
    """Parses one answer."""

    def push(self, text: str) -> MessageDelta:
        """What new text gives; what may be the beginning of a marker is held back."""
        ...

    def finish(self) -> MessageDelta:
        """The rest, when no text follows. Called once."""
        ...
