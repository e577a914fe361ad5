"""Splits a model's text into reasoning and content at `<think>` and `</think>`, in any chunking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

from pagoda.text.markers import after_blanks, held_back, may_become

START = "<think>"
END = "</think>"
_SPACE = " \t\r\n"
_TURN = re.compile(r"<\||<｜|\[/?INST\]|</s>")  # what separates turns in the templates of reasoning models
_CALL = "<tool_call>"
_CALL_BEGINS = re.compile(r"<tool_call>[ \t\r\n]{0,64}(?:\{|<function=)")
_CALL_MAY_BEGIN = re.compile(r"<tool_call>[ \t\r\n]{0,64}(?:<[functio]{0,8})?\Z")

Thinking: TypeAlias = Literal["open", "closed", "unopened"]
"""Where a prompt leaves the answer: inside reasoning, after it, or with none begun."""

#: Parsers by name: whether text without `<think>` at its beginning is reasoning, if the prompt does not tell.
REASONING_PARSERS: Mapping[str, bool] = {"deepseek_r1": True, "qwen3": False}


def thinking_at_end(prompt: str) -> Thinking:
    """What the end of a rendered prompt tells. Tags in earlier turns count for nothing."""
    start, end = prompt.rfind(START), prompt.rfind(END)
    last = max(start, end)
    if last < 0 or _TURN.search(prompt, last):
        return "unopened"
    return "open" if start > end else "closed"


def begins_reasoning(
    parser: str, prompt: str, thinking: bool | None, unless_said: bool | None = None
) -> bool:
    """Whether the answer begins as reasoning even if it does not begin with `<think>`.

    The prompt decides where it can. Else `thinking` (enable_thinking) does, and where it is not said either
    `unless_said`. By default deepseek_r1 then takes text for reasoning, since its models need not write the
    tag; qwen3's models do write it, so that the text of one that does not think is content.
    """
    state = thinking_at_end(prompt)
    if state != "unopened":
        return state == "open"
    if thinking is not None:
        return thinking
    return REASONING_PARSERS[parser] if unless_said is None else unless_said


class ReasoningSplitter:
    """Pure and incremental. Reasoning that is nothing but white space is dropped; all else is kept as it is.

    in_reasoning: how text begins that does not start with `<think>`. ends_at_call: a tool call inside
    reasoning ends it (Qwen3 may forget the end tag); a `<tool_call>` with no call after it is a mention and
    stays.
    """

    def __init__(self, *, in_reasoning: bool, ends_at_call: bool) -> None:
        self._state: Literal["start", "reasoning", "content"] = "start"
        self._begins_in_reasoning = in_reasoning
        self._markers = (END, _CALL) if ends_at_call else (END,)
        self._marker = re.compile("|".join(map(re.escape, self._markers)))
        self._held = ""
        self._blank: list[str] | None = []  # white space that begins the reasoning; None once there is text

    def push(self, text: str) -> tuple[str, str]:
        """New reasoning and new content; what may begin a tag is held back."""
        if self._state == "content":
            return "", text
        return self._split(self._held + text, final=False)

    def finish(self) -> tuple[str, str]:
        """The rest, when no text follows."""
        return self._split(self._held, final=True)

    def _split(self, text: str, final: bool) -> tuple[str, str]:
        self._held = ""
        if self._state == "start":
            begin = after_blanks(text, 0)
            if not final and may_become(text, begin, START):
                self._held = text
                return "", ""
            if text.startswith(START, begin):
                text = text[begin + len(START) :]
                self._state = "reasoning"
            else:
                self._state = "reasoning" if self._begins_in_reasoning else "content"
        if self._state == "content":
            return "", text
        return self._split_reasoning(text, final)

    def _split_reasoning(self, text: str, final: bool) -> tuple[str, str]:
        search_from = 0
        while match := self._marker.search(text, search_from):
            if match[0] == END:
                self._state = "content"
                return self._reasoning(text[: match.start()]), text[match.end() :]
            if _CALL_BEGINS.match(text, match.start()):
                self._state = "content"
                return self._reasoning(text[: match.start()]), text[match.start() :]
            if not final and _CALL_MAY_BEGIN.match(text, match.start()):
                self._held = text[match.start() :]
                return self._reasoning(text[: match.start()]), ""
            search_from = match.end()
        keep = 0 if final else held_back(text, self._markers)
        self._held = text[len(text) - keep :]
        return self._reasoning(text[: len(text) - keep]), ""

    def _reasoning(self, text: str) -> str:
        if self._blank is None:
            return text
        if not text.strip(_SPACE):
            self._blank.append(text)
            return ""
        text = "".join(self._blank) + text
        self._blank = None
        return text
