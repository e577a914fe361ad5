"""From a model's text to a message: which parsers an answer goes through, and how they are put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pagoda.text.parsing import AnswerParser, MessageDelta
from pagoda.text.reasoning import END as REASONING_END
from pagoda.text.reasoning import REASONING_PARSERS, ReasoningSplitter, begins_reasoning
from pagoda.text.reasoning import START as REASONING_START
from pagoda.text.tool_schema import NamedTool, ToolChoice
from pagoda.text.tools import TOOL_PARSERS, ToolParser
from pagoda.text.tools.json_list import NamedParser, RequiredParser

Kind = Literal["reasoning", "tool"]
_NONE = ("", "none")  # spellings of no parser
_MARKERS: Mapping[str, tuple[str, ...]] = {
    "hermes": ("<tool_call>", "</tool_call>"),
    "qwen3_coder": ("<tool_call>", "</tool_call>"),
    "qwen3_xml": ("<tool_call>", "</tool_call>"),
    "llama3_json": ("<|python_tag|>",),
    "llama4_json": ("<|python_tag|>",),
    "mimo": ("<tool_call>", "</tool_call>"),
    "mistral": ("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"),
}


class UnknownParserError(ValueError):
    """No parser has this name; one line with the names there are."""


def parser_names(kind: Kind) -> list[str]:
    """The names of the parsers of one kind, in order."""
    return sorted(REASONING_PARSERS if kind == "reasoning" else TOOL_PARSERS)


def check_parser(kind: Kind, name: str | None) -> str | None:
    """The name; None for "" and "none". Raises UnknownParserError."""
    if name is None or name in _NONE:
        return None
    if name not in parser_names(kind):
        known = ", ".join(parser_names(kind))
        raise UnknownParserError(f"There is no {kind} parser {name!r}; use one of {known}.")
    return name


def make_answer_parser(
    *,
    reasoning: str | None,
    tool_parser: str | None,
    prompt: str,
    thinking: bool | None,
    tools: Sequence[Mapping[str, Any]] | None,
    tool_choice: ToolChoice,
    parallel: bool = True,
    new_id: Callable[[], str],
) -> AnswerParser:
    """A parser for one answer (one for each of n). With neither reasoning nor tools text is content.

    prompt: the rendered prompt, whose end tells whether reasoning is open. thinking: enable_thinking of the
    request, None where it says nothing. "required" and a named tool read the JSON that a grammar forces,
    whatever the model's own format; "auto" needs tools and a tool_parser. parallel=False keeps the first call
    alone.
    Raises UnknownParserError.
    """
    reasoning, tool_parser = check_parser("reasoning", reasoning), check_parser("tool", tool_parser)
    calls: ToolParser | None = None
    if isinstance(tool_choice, NamedTool):
        calls = NamedParser(new_id, tools or (), name=tool_choice.name)
    elif tool_choice == "required":
        calls = RequiredParser(new_id, tools or ())
    elif tool_choice == "auto" and tools and tool_parser is not None:
        calls = TOOL_PARSERS[tool_parser](new_id, tools)
    splitter = None
    if reasoning is not None:
        splitter = ReasoningSplitter(
            in_reasoning=begins_reasoning(reasoning, prompt, thinking),
            ends_at_call=reasoning == "qwen3" and tool_choice == "auto" and calls is not None,
        )
    return _Answer(splitter, calls, parallel)


def keeps_special_tokens(
    reasoning: str | None, tool_parser: str | None, special_tokens: Callable[[str], bool]
) -> bool:
    """Whether a marker the parsers look for is a special token (`special_tokens` tells), so that text must be
    made with skip_special_tokens=False.
    """
    markers = list(_MARKERS.get(tool_parser or "", ()))
    if reasoning not in (None, *_NONE):
        markers += (REASONING_START, REASONING_END)
    return any(special_tokens(marker) for marker in markers)


def detect_parsers(chat_template: str) -> tuple[str | None, str | None]:
    """The reasoning and the tool parser that fit a chat template's source; None where none does."""
    reasoning = tool_parser = None
    if REASONING_START in chat_template and REASONING_END in chat_template:
        reasoning = "qwen3" if "enable_thinking" in chat_template else "deepseek_r1"
    elif REASONING_END in chat_template:
        reasoning = "deepseek_r1"
    if "<function=" in chat_template:
        tool_parser = "qwen3_coder"
    elif "<tool_call>" in chat_template and "<arg_key>" not in chat_template:  # those are GLM's
        tool_parser = "hermes"
    elif "[TOOL_CALLS]" in chat_template:
        tool_parser = "mistral"
    elif "<|python_tag|>" in chat_template or '"parameters": dictionary of argument name' in chat_template:
        tool_parser = "llama3_json"
    return reasoning, tool_parser


class _Answer:
    """Reasoning first, then tool calls in what is left."""

    def __init__(self, splitter: ReasoningSplitter | None, calls: ToolParser | None, parallel: bool) -> None:
        self._splitter = splitter
        self._calls = calls
        self._parallel = parallel

    def push(self, text: str) -> MessageDelta:
        if self._splitter is None:
            return self._content(text)
        reasoning, text = self._splitter.push(text)
        delta = self._content(text) if text else MessageDelta()
        delta.reasoning = reasoning
        return delta

    def finish(self) -> MessageDelta:
        delta = MessageDelta()
        if self._splitter is not None:
            reasoning, text = self._splitter.finish()
            delta = self._content(text)
            delta.reasoning = reasoning
        if self._calls is not None:
            rest = self._first_only(self._calls.finish())
            delta.content += rest.content
            delta.tool_calls += rest.tool_calls
        return delta

    def _content(self, text: str) -> MessageDelta:
        if self._calls is None:
            return MessageDelta(content=text)
        return self._first_only(self._calls.push(text))

    def _first_only(self, delta: MessageDelta) -> MessageDelta:
        if not self._parallel and delta.tool_calls:
            delta.tool_calls = [call for call in delta.tool_calls if call.index == 0]
        return delta
