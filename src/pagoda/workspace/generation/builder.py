"""From a provider's chunks to the parts of a message, and to the events that tell of each change."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

Event = dict[str, Any]

#: parts that functions add to an answer; its text goes on across them
ADDED = frozenset(("status", "source", "embed", "file"))


class AnswerBuilder:
    """Builds one answer. `take` gives the events of a chunk; they rebuild `parts` elsewhere exactly.

    Counts and times are the provider's own record where it gives one; what it does not say stays None, and
    the seconds are those that passed here.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.parts: list[dict[str, Any]] = []
        self.usage: dict[str, Any] | None = None
        self.metrics: dict[str, Any] | None = None
        self.finish_reason: str | None = None
        self._clock = clock
        self._began = clock()
        self._first: float | None = None
        self._reasoning_began: float | None = None
        self._calls: dict[int, int] = {}  # a call's index -> its part

    def go_on(self, parts: Sequence[dict[str, Any]]) -> None:
        """What is there already; new text goes on where it ends."""
        self.parts = [dict(part) for part in parts]

    def take(self, chunk: dict[str, Any]) -> list[Event]:
        """The events of one chat.completion.chunk; what is not understood is left out."""
        events: list[Event] = []
        if isinstance(usage := chunk.get("usage"), dict):
            self.usage = usage
        if isinstance(metrics := chunk.get("metrics"), dict):
            self.metrics = metrics
        for choice in chunk.get("choices") or []:
            delta = choice.get("delta") or {}
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            if isinstance(reasoning, str) and reasoning:
                events += self._text("reasoning", reasoning)
            if isinstance(content := delta.get("content"), str) and content:
                events += self._text("text", content)
            for call in delta.get("tool_calls") or []:
                events += self._call(call)
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
        if events and self._first is None:
            self._first = self._clock()
        return events

    def finish(self) -> list[Event]:
        """The end of what was still open."""
        return self._end_reasoning()

    def timing(self) -> dict[str, Any]:
        """Seconds in all, and to the first token as the engine says, or as it was seen here."""
        seen = None if self._first is None else self._first - self._began
        metrics = self.metrics or {}
        first = metrics.get("time_to_first_token")
        return {
            "seconds": self._clock() - self._began,
            "time_to_first_token": seen if first is None else first,
            "tokens_per_second": metrics.get("tokens_per_second"),
            "queue_time": metrics.get("queue_time"),
        }

    def live(self) -> Event:
        """How far it is, in the engine's counts; null where the provider tells them at the end alone."""
        usage = self.usage or {}
        tokens = usage.get("completion_tokens")
        seconds = None if self._first is None else self._clock() - self._first
        rate = (tokens - 1) / seconds if tokens and seconds and tokens > 1 else None
        return {
            "type": "live",
            "seconds": self._clock() - self._began,
            "time_to_first_token": None if self._first is None else self._first - self._began,
            "prompt_tokens": usage.get("prompt_tokens"),
            "completion_tokens": tokens,
            "cached_tokens": (usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
            "tokens_per_second": rate,
        }

    def _text(self, kind: str, text: str) -> list[Event]:
        events: list[Event] = []
        if kind == "text":
            events += self._end_reasoning()
        index = len(self.parts) - 1
        while index >= 0 and self.parts[index]["type"] in ADDED:
            index -= 1
        if index < 0 or self.parts[index]["type"] != kind:
            if kind == "reasoning":
                self._reasoning_began = self._clock()
            index = len(self.parts)
            self.parts.append({"type": kind, "text": ""})
        self.parts[index]["text"] += text
        return [*events, {"type": "delta", "part": index, "kind": kind, "text": text}]

    def _end_reasoning(self) -> list[Event]:
        if self._reasoning_began is None:
            return []
        index = max(i for i, part in enumerate(self.parts) if part["type"] == "reasoning")
        self.parts[index]["seconds"] = self._clock() - self._reasoning_began
        self._reasoning_began = None
        return [{"type": "part", "part": index, "value": dict(self.parts[index])}]

    def _call(self, call: dict[str, Any]) -> list[Event]:
        events = self._end_reasoning()
        number = call.get("index") or 0
        function = call.get("function") or {}
        if number not in self._calls:
            self._calls[number] = len(self.parts)
            self.parts.append({"type": "tool_call", "id": "", "name": "", "arguments": ""})
        index = self._calls[number]
        part = self.parts[index]
        part["id"] = call.get("id") or part["id"]
        part["name"] = function.get("name") or part["name"]
        part["arguments"] += function.get("arguments") or ""
        return [*events, {"type": "part", "part": index, "value": dict(part)}]
