"""A conversation with a model, wherever it runs: its messages, and answers that come piece by piece with
what they took.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What the user asked for; None means the model's own default."""

    system: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    seed: int | None = None


@dataclass(slots=True)
class AnswerStats:
    """What an answer took: tokens, and seconds to the first and from the first to the last."""

    prompt_tokens: int = 0
    tokens: int = 0
    first_seconds: float = 0.0
    stream_seconds: float = 0.0
    dropped_messages: int = 0
    finish_reason: str | None = None

    def line(self) -> str:
        """The figures for people."""
        if not self.tokens:
            return "stopped before the first token" if self.finish_reason is None else "an empty answer"
        speed = f", {(self.tokens - 1) / self.stream_seconds:.1f} tokens/s" if self.stream_seconds > 0 else ""
        ending = {"length": ", cut at the token limit", None: ", stopped"}.get(self.finish_reason, "")
        dropped = f", {self.dropped_messages} old messages left out" if self.dropped_messages else ""
        count = "1 token" if self.tokens == 1 else f"{self.tokens} tokens"
        return f"{count}{speed}, first after {self.first_seconds:.2f} s{ending}{dropped}"


class Conversation(ABC):
    """Messages with a model. `answer` adds to them what is asked and what is said."""

    def __init__(self, settings: ChatSettings) -> None:
        self._settings = settings
        self.system = settings.system
        self.messages: list[dict[str, str]] = []
        self.stats = AnswerStats()

    def clear(self) -> None:
        """Forgets all messages and keeps the system prompt."""
        self.messages.clear()

    @abstractmethod
    def answer(self, text: str) -> AsyncGenerator[str, None]:
        """The pieces of the answer to `text`; closing the iterator stops it, and what was said stays said.

        `stats` describes it afterwards. Raises UsageError for what cannot be answered.
        """
