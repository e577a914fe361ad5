"""From what a request brings to token ids."""

from __future__ import annotations

import asyncio

from pagoda.api.errors import bad_request
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.params import SamplingParams
from pagoda.engine.validation import check_text
from pagoda.text.chat_template import ChatTemplate, TemplateError
from pagoda.text.messages import MessageError, prepare_messages

_LONG_TEXT = 16_384  #: characters from which on tokenising leaves the event loop to others


async def encode_text(
    llm: AsyncLLM, text: str, params: SamplingParams, *, add_special_tokens: bool
) -> list[int]:
    """Token ids of a prompt. Raises PromptError for a text that cannot fit, ApiError 400 for one that is no
    Unicode.
    """
    check_text(text, params, max_model_len=llm.info.max_model_len)
    try:
        if len(text) < _LONG_TEXT:
            return llm.tokenizer.encode(text, add_special_tokens)
        return await asyncio.to_thread(llm.tokenizer.encode, text, add_special_tokens)
    except ValueError as error:
        raise bad_request(f"prompt: {error}.", "prompt") from error


def chat_text(llm: AsyncLLM, request: ChatCompletionRequest) -> str:
    """The prompt that the model's template makes of the messages. Raises ApiError 400."""
    try:
        template = llm.chat_template
        if template is None:
            raise bad_request(
                "This model has no chat template, so it cannot be used through /v1/chat/completions; "
                "use /v1/completions.",
                "messages",
            )
        return render(template, request)
    except MessageError as error:
        raise bad_request(str(error), "messages") from error
    except TemplateError as error:
        raise bad_request(str(error), "messages") from error


def render(template: ChatTemplate, request: ChatCompletionRequest) -> str:
    """Raises MessageError, TemplateError, ApiError."""
    messages = prepare_messages(request.messages, keep_developer="developer" in template.source)
    continues = bool(request.continue_final_message)
    opens = request.add_generation_prompt
    if continues and opens:
        raise bad_request(
            "continue_final_message and add_generation_prompt exclude each other.", "continue_final_message"
        )
    variables = dict(request.chat_template_kwargs or {})
    for reserved in ("messages", "tools", "add_generation_prompt", "continue_final_message"):
        if reserved in variables:
            raise bad_request(f"chat_template_kwargs must not hold {reserved}.", "chat_template_kwargs")
    if "enable_thinking" not in variables:
        thinking = request.unlisted("enable_thinking")  # DashScope's spelling
        if thinking is None and request.reasoning_effort is not None:
            thinking = request.reasoning_effort != "none"
        if thinking is not None:
            variables["enable_thinking"] = thinking
    if request.documents is not None:
        variables["documents"] = request.documents
    return template.render(
        messages,
        add_generation_prompt=not continues if opens is None else opens,
        continue_final_message=continues,
        **variables,
    )
