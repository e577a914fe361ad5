"""From what a request brings to token ids."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pagoda.api.errors import bad_request
from pagoda.api.protocol.chat import ChatFields
from pagoda.api.settings import ServerSettings
from pagoda.api.tool_prompt import has_place_for_tools, with_tools_told
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.params import SamplingParams
from pagoda.engine.validation import PromptError, check_text, context_message, truncate_prompt
from pagoda.text.chat_template import ChatTemplate, TemplateError
from pagoda.text.messages import MessageError, prepare_messages
from pagoda.text.tokenizer import Tokenizer

_LONG_TEXT = 16_384  #: characters from which on tokenising leaves the event loop to others
_HUGE_TEXT = 65_536  #: from which on it is first seen whether it can fit
_MANY_MESSAGES = 64  #: from which on rendering does
_LONGEST_TOKEN = 256  #: characters
_LONG_TOKEN = 8  #: characters; texts of longer ones are rare
_SURELY = 64  #: tokens, with an eighth more: what a count in pieces may be wrong by
_RESERVED = ("messages", "tools", "add_generation_prompt", "continue_final_message")
_PREFIX_MARKS = (
    "prefix",
    "partial",
)  #: of a last message to go on with: DeepSeek's, Moonshot's and DashScope's


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """A rendered conversation.

    thinking: what the template was told, None where nothing was said. role: of the answer. last_text: the
    last message's, where it has the same role.
    """

    text: str
    thinking: bool | None
    role: str
    last_text: str


async def encode_text(
    llm: AsyncLLM, text: str, params: SamplingParams, *, add_special_tokens: bool
) -> list[int]:
    """Token ids of a prompt, cut where the request asks for it. Raises PromptError for a text that cannot
    fit, ApiError 400 for one that is no Unicode.
    """
    most = llm.info.max_model_len
    check_text(text, params, max_model_len=most)
    if params.truncate_prompt_tokens is not None:
        kept = most * _LONGEST_TOKEN  # what cannot be among the tokens that are kept is not tokenised
        text = text[:kept] if params.truncation_side == "right" else text[-kept:]
    elif len(text) > max(most * _LONG_TOKEN, _HUGE_TEXT):
        await _check_count(llm, text, params)
    token_ids = await tokenize(llm.tokenizer, text, add_special_tokens=add_special_tokens)
    return truncate_prompt(token_ids, params, max_model_len=most)


async def _check_count(llm: AsyncLLM, text: str, params: SamplingParams) -> None:
    """Refuses a text that is surely too long once as much of it has been cut into tokens as would fit.
    Raises PromptError.
    """
    most = llm.info.max_model_len
    count = await asyncio.to_thread(llm.tokenizer.count_up_to, text, most + most // 8 + _SURELY)
    if count > most + most // 8 + _SURELY:
        raise _too_long(params, most, most, f"input_text, value={len(text)}")


def check_bulk(llm: AsyncLLM, messages: Sequence[Mapping[str, Any]], params: SamplingParams) -> None:
    """Refuses conversations that cannot fit, however they are rendered: a message takes a token at least.
    Raises PromptError.
    """
    if params.truncate_prompt_tokens is not None:
        return
    most = llm.info.max_model_len
    if len(messages) >= most:
        raise _too_long(params, most, len(messages), f"input_text, value={len(messages)} messages")


def _too_long(params: SamplingParams, most: int, at_least: int, fault: str) -> PromptError:
    wanted = params.max_tokens if params.max_tokens is not None else max(1, params.min_tokens)
    return PromptError("input_text", context_message(most, wanted, at_least, "at least ", fault))


async def tokenize(tokenizer: Tokenizer, text: str, *, add_special_tokens: bool) -> list[int]:
    """Token ids of any text. Raises ApiError 400 for one that is no Unicode."""
    try:
        if len(text) < _LONG_TEXT:
            return tokenizer.encode(text, add_special_tokens)
        return await asyncio.to_thread(tokenizer.encode, text, add_special_tokens)
    except ValueError as error:
        raise bad_request(f"prompt: {error}.", "prompt") from error


async def chat_prompt(
    llm: AsyncLLM,
    settings: ServerSettings,
    request: ChatFields,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[dict[str, Any]] | None,
) -> ChatPrompt:
    """The prompt that the model's template makes of the messages. Raises ApiError 400."""
    try:
        if request.chat_template:  # may take long, whatever it is
            template = await asyncio.to_thread(_template, llm, settings, request)
        else:
            template = _template(llm, settings, request)
        if len(messages) < _MANY_MESSAGES and not request.chat_template:
            return render(template, settings, request, messages, tools)
        return await asyncio.to_thread(render, template, settings, request, messages, tools)
    except (MessageError, TemplateError) as error:
        raise bad_request(str(error), "messages") from error


def _template(llm: AsyncLLM, settings: ServerSettings, request: ChatFields) -> ChatTemplate:
    if request.chat_template and not settings.trust_request_chat_template:
        raise bad_request(
            "Chat template is passed with request, but --trust-request-chat-template is not set. "
            "Refused request with untrusted chat template.",
            "chat_template",
        )
    if request.chat_template:
        tokenizer = llm.tokenizer
        try:
            return ChatTemplate(
                request.chat_template, bos_token=tokenizer.bos_token, eos_token=tokenizer.eos_token
            )
        except TemplateError as error:
            raise bad_request(str(error), "chat_template") from error
    template = llm.chat_template
    if template is None:
        raise bad_request(
            "This model has no chat template, so it cannot be used through /v1/chat/completions; "
            "use /v1/completions.",
            "messages",
        )
    return template


def render(
    template: ChatTemplate,
    settings: ServerSettings,
    request: ChatFields,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[dict[str, Any]] | None,
) -> ChatPrompt:
    """Raises MessageError, TemplateError, ApiError."""
    prepared = prepare_messages(messages, keep_developer="developer" in template.source)
    continues = _continues(request, prepared)
    if tools and not has_place_for_tools(template.source):
        prepared, tools = with_tools_told(prepared, tools), None
    opens = request.add_generation_prompt
    if continues and opens:
        raise bad_request(
            "Cannot set both `continue_final_message` and `add_generation_prompt` to True.",
            "continue_final_message",
        )
    opens = not continues if opens is None else opens
    role, last = settings.response_role if opens else prepared[-1]["role"], prepared[-1]
    variables = template_variables(settings, request)
    text = template.render(
        prepared,
        add_generation_prompt=opens,
        continue_final_message=continues,
        tools=tools,
        **variables,
    )
    thinking = variables.get("enable_thinking", variables.get("thinking"))
    return ChatPrompt(
        text=text,
        thinking=thinking if isinstance(thinking, bool) else None,
        role=role,
        last_text=last["content"] if last["role"] == role else "",
    )


def _continues(request: ChatFields, prepared: Sequence[dict[str, Any]]) -> bool:
    """Whether the answer goes on with the last message; takes the marks of other APIs off it."""
    marked = [prepared[-1].pop(mark, None) for mark in _PREFIX_MARKS]
    if request.continue_final_message is not None:
        return request.continue_final_message
    return prepared[-1]["role"] == "assistant" and True in marked


def template_variables(settings: ServerSettings, request: ChatFields) -> dict[str, Any]:
    """What the template is told besides the messages: the server's defaults, then the request's fields,
    then its chat_template_kwargs. Raises ApiError 400.
    """
    given = dict(request.chat_template_kwargs or {})
    for reserved in _RESERVED:
        if reserved in given:
            raise bad_request(f"chat_template_kwargs must not hold {reserved}.", "chat_template_kwargs")
    variables = dict(settings.default_chat_template_kwargs)
    if request.reasoning_effort is not None:
        variables["reasoning_effort"] = request.reasoning_effort
    thinking = _wants_thinking(request)
    if thinking is not None:
        variables["enable_thinking"] = variables["thinking"] = thinking
    if request.documents is not None:
        variables["documents"] = request.documents
    variables.update(given)
    for name in ("enable_thinking", "thinking"):  # the text "false" would be true to a template
        if isinstance(variables.get(name), str) and variables[name].lower() in ("true", "false"):
            variables[name] = variables[name].lower() == "true"
    return variables


def _wants_thinking(request: ChatFields) -> bool | None:
    """What a request says of thinking outside of chat_template_kwargs: DashScope's enable_thinking, then
    `thinking: {"type": ...}` of DeepSeek's and GLM's APIs, then reasoning_effort.
    """
    if request.enable_thinking is not None:
        return request.enable_thinking
    thinking = request.unlisted("thinking")
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind in ("enabled", "disabled"):
        return bool(kind == "enabled")
    if request.reasoning_effort is not None:
        return request.reasoning_effort != "none"
    return None
