"""What an answer of a chat may hold, decided before the prompt is made: calls, a format, reasoning."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import msgspec

from pagoda.api.call_format import call_format
from pagoda.api.errors import ApiError, bad_request
from pagoda.api.model_pool import ServedModel
from pagoda.api.protocol.chat import ChatFields
from pagoda.api.settings import ServerSettings
from pagoda.api.structured import or_format, param_of, structured_outputs
from pagoda.api.tool_prompt import PARSER, has_place_for_tools
from pagoda.engine.messages import ReasoningTokens
from pagoda.engine.params import SamplingParams
from pagoda.engine.reasoning import reasoning_tokens
from pagoda.engine.structured_outputs import StructuredOutputsParams
from pagoda.text.answers import keeps_special_tokens, make_answer_parser
from pagoda.text.chat_template import TemplateError
from pagoda.text.parsing import AnswerParser
from pagoda.text.tokenizer import Tokenizer
from pagoda.text.tool_schema import (
    NamedTool,
    ToolChoice,
    ToolError,
    check_tool_choice,
    check_tools,
    tool_choice_schema,
)

MAX_TOOLS_SIZE = 1024 * 1024  #: characters of all tools of a request, as JSON


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """shown_tools: what the template is given. tools: what calls are read by, None where none are read.
    constraint: what the text must be, after the reasoning; `constraint_param` is the field it came from.
    """

    shown_tools: list[dict[str, Any]] | None
    tools: list[dict[str, Any]] | None
    choice: ToolChoice
    parallel: bool
    constraint: StructuredOutputsParams | None
    constraint_param: str
    reasoning: str | None
    thinks: str | None  #: the parser that knows where reasoning ends, also where the text stays whole
    tool_parser: str | None

    @property
    def named(self) -> bool:
        """Whether one function must be called: such an answer ends with "stop"."""
        return isinstance(self.choice, NamedTool)

    def reasoning_tokens(
        self, tokenizer: Tokenizer, prompt: str, thinking: bool | None
    ) -> ReasoningTokens | None:
        """How the engine knows where the reasoning ends; None where there is none."""
        return reasoning_tokens(self.thinks, tokenizer, prompt, thinking)

    def with_markers(
        self,
        params: SamplingParams,
        skip_special_tokens: bool | None,
        tokenizer: Tokenizer,
    ) -> SamplingParams:
        """The parameters with special tokens in the text where the parsers look for them; a request that says
        otherwise is served as it says.
        """
        if skip_special_tokens is not None or not params.skip_special_tokens:
            return params
        tool_parser = self.tool_parser if self.tools and self.choice == "auto" else None
        if not keeps_special_tokens(self.reasoning, tool_parser, lambda mark: _is_special(mark, tokenizer)):
            return params
        return msgspec.structs.replace(params, skip_special_tokens=False)

    def parsers(self, prompt: str, thinking: bool | None, count: int) -> list[AnswerParser] | None:
        """A parser for each of `count` answers; None where all text is content."""
        if self.reasoning is None and self.tools is None:
            return None
        return [
            make_answer_parser(
                reasoning=self.reasoning,
                tool_parser=self.tool_parser,
                prompt=prompt,
                thinking=thinking,
                tools=self.tools,
                tool_choice=self.choice,
                parallel=self.parallel,
                new_id=new_call_id,
            )
            for _ in range(count)
        ]


def new_call_id() -> str:
    """The id of a tool call."""
    return f"chatcmpl-tool-{secrets.token_hex(16)}"


def plan_answer(
    model: ServedModel, settings: ServerSettings, request: ChatFields, *, split_reasoning: bool = False
) -> AnswerPlan:
    """Raises ApiError 400. split_reasoning: wherever the model marks it, whatever the settings say.

    A format (response_format and its kin) binds the final answer and never stands in the way of a call: with
    tool_choice "required" or a name the call is what is forced; with "auto" the model chooses at its first
    token between a call and an answer of that format. Where a parser's calls cannot be told from text by how
    they begin, such an answer is free.
    """
    tools = read_tools(request)
    try:
        choice = check_tool_choice(request.tool_choice, tools)
    except ToolError as error:
        raise bad_request(str(error), error.parameter) from error
    constraint, param = structured_outputs(request), param_of(request)
    parser, parallel = model.tool_call_parser, request.parallel_tool_calls is not False
    in_words = bool(tools) and _lacks_place(model, request)
    if in_words and (parser is not None or settings.tool_call_parser == "auto"):
        parser = PARSER
    if tools and choice != "none":
        _check_parser(settings, parser, choice)
        forced = tool_choice_schema(tools, choice, parallel)
        if forced is not None:
            constraint, param = StructuredOutputsParams(json=forced), "tools"
        elif constraint is not None:
            calls = call_format(parser, tools)
            free = keeps_special_tokens(None, parser, lambda mark: _is_special(mark, model.llm.tokenizer))
            constraint = None if calls is None or free else or_format(constraint, calls)
    hidden = choice == "none" and (in_words or settings.exclude_tools_when_tool_choice_none)
    return AnswerPlan(
        shown_tools=None if hidden else tools,
        tools=None if choice == "none" else tools,
        choice=choice,
        parallel=parallel,
        constraint=constraint,
        constraint_param=param,
        reasoning=model.marked_reasoning if split_reasoning else model.reasoning_parser,
        thinks=model.marked_reasoning if split_reasoning else _thinks(model, request),
        tool_parser=parser,
    )


def _thinks(model: ServedModel, request: ChatFields) -> str | None:
    """A budget for thinking is kept whether or not the server splits reasoning from the answer."""
    if model.reasoning_parser is not None or not _limits_thinking(request):
        return model.reasoning_parser
    found = model.marked_reasoning
    if found is None:
        raise bad_request(
            "thinking_token_budget needs a model that reasons; --reasoning-parser says how it does.",
            "thinking_token_budget",
        )
    return found


def read_tools(request: ChatFields) -> list[dict[str, Any]] | None:
    """The tools of a request, None for none. Raises ApiError 400, also for more than a model could read."""
    try:
        size = len(msgspec.json.encode(request.tools))
        if size > MAX_TOOLS_SIZE:
            raise bad_request(
                f"tools hold {size:,} characters; at most {MAX_TOOLS_SIZE:,} are accepted.", "tools"
            )
        return check_tools(request.tools)
    except ToolError as error:
        raise bad_request(str(error), error.parameter) from error
    except RecursionError as error:
        raise bad_request("tools are nested too deeply.", "tools") from error


def _lacks_place(model: ServedModel, request: ChatFields) -> bool:
    """Whether the template has no place for tools: the model is then told of them in words."""
    source = request.chat_template
    if not source:
        try:
            template = model.llm.chat_template
        except TemplateError:
            return False  # rendering will say what is wrong
        source = template.source if template is not None else ""
    return bool(source) and not has_place_for_tools(source)


def _limits_thinking(request: ChatFields) -> bool:
    return request.thinking_token_budget is not None and request.thinking_token_budget >= 0


def _check_parser(settings: ServerSettings, parser: str | None, choice: ToolChoice) -> None:
    if parser is not None:
        return
    detected = settings.tool_call_parser == "auto"
    if choice == "auto":
        why = " (this model's chat template has no tool calls that are known here)" if detected else ""
        raise _no_parser(
            f'"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set{why}'
        )
    if not detected:  # calls that are forced are read as JSON, whatever the model's own way
        shown = f'"{choice}"' if isinstance(choice, str) else "(named)"
        raise _no_parser(f"tool_choice={shown} requires --tool-call-parser to be set")


def _no_parser(message: str) -> ApiError:
    return bad_request(message, "tool_choice")


def _is_special(mark: str, tokenizer: Tokenizer) -> bool:
    return tokenizer.token_to_id(mark) in tokenizer.special_ids
