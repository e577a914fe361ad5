"""Reasoning that a foreign server leaves in the text: `<think>...</think>` at the very beginning.

Only there, as an answer may well talk about such tags. Our own engine tells reasoning apart by itself.
"""

from __future__ import annotations

#: opening -> closing
TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<reason>": "</reason>",
    "<reasoning>": "</reasoning>",
    "<thought>": "</thought>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "◁think▷": "◁/think▷",
}


class ThinkTags:
    """Splits a stream of text into (reasoning, text). Feed it pieces; `finish` gives what was held back."""

    def __init__(self) -> None:
        self._held = ""
        self._closing: str | None = None
        self._state = "before"  # before, inside, after (spaces between reasoning and answer), text

    def feed(self, piece: str) -> tuple[str, str]:
        """Reasoning and text that are certain by now."""
        if self._state == "text":
            return "", piece
        self._held += piece
        if self._state == "before":
            self._open()
        reasoning = self._inside() if self._state == "inside" else ""
        return reasoning, self._text()

    def finish(self) -> tuple[str, str]:
        """What was held back for a tag that did not come."""
        held, self._held = self._held, ""
        if self._state == "inside":
            return held, ""
        return "", held if self._state == "before" else ""

    def _open(self) -> None:
        start = self._held.lstrip()
        lower = start.lower()
        for opening, closing in TAGS.items():
            if lower.startswith(opening):
                self._held, self._closing, self._state = start[len(opening) :], closing, "inside"
                return
        if not any(opening.startswith(lower) for opening in TAGS):
            self._state = "text"

    def _inside(self) -> str:
        closing = self._closing or ""
        at = self._held.lower().find(closing)
        if at >= 0:
            reasoning, self._held = self._held[:at], self._held[at + len(closing) :]
            self._state = "after"
            return reasoning
        keep = _overlap(self._held.lower(), closing)
        cut = len(self._held) - keep
        reasoning, self._held = self._held[:cut], self._held[cut:]
        return reasoning

    def _text(self) -> str:
        if self._state == "after" and (text := self._held.lstrip()):
            self._state = "text"
            self._held = text
        if self._state != "text":
            return ""
        text, self._held = self._held, ""
        return text


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of a text may be the beginning of a tag."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)
