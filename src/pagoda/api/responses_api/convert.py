"""From a request of the Responses API to the chat that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pagoda.api.errors import bad_request
from pagoda.api.other_apis import chat_of
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.protocol.common import GenerationRequest
from pagoda.api.protocol.responses import ResponsesRequest
from pagoda.api.responses_api.items import Item, chat_messages
from pagoda.api.responses_api.tools import Tools

LOGPROBS = "message.output_text.logprobs"
SEALED = "reasoning.encrypted_content"

_REFUSED = {
    "conversation": "conversation is not supported; use previous_response_id.",
    "prompt": "prompt templates are not supported; send the text as input.",
}
# Fields of chat completions that this API has another field for.
_REPLACED = ("messages", "max_tokens", "max_completion_tokens", "n", "stream", "stream_options")
#: what the chat's fields are called here
PARAMS = {
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
}
_MOST_METADATA = 16


def check_request(request: ResponsesRequest) -> None:
    """Raises ApiError 400 for what this API can never answer."""
    for name, message in _REFUSED.items():
        if request.unlisted(name):
            raise bad_request(message, name)
    if request.n not in (None, 1):
        raise bad_request("The Responses API gives one answer; leave n out.", "n")
    if request.background and request.store is False:
        raise bad_request("background needs store to be true: the response is fetched later.", "background")
    if len(request.metadata or {}) > _MOST_METADATA:
        raise bad_request(f"metadata holds at most {_MOST_METADATA} entries.", "metadata")


def wants_logprobs(request: ResponsesRequest) -> bool:
    return bool(request.top_logprobs) or LOGPROBS in (request.include or ())


def chat_request(request: ResponsesRequest, items: list[Item], tools: Tools) -> ChatCompletionRequest:
    """The chat. Sampling fields, vLLM's further ones included, go over as they are. Raises ApiError 400."""
    fields = {
        name: getattr(request, name)
        for name in GenerationRequest.model_fields
        if name in request.model_fields_set and name not in _REPLACED
    }
    fields.update(
        {name: value for name, value in (request.model_extra or {}).items() if name not in _REPLACED}
    )
    messages = chat_messages(request.instructions, items)
    if not messages:
        raise bad_request("input must not be empty; send a text or at least one item.", "input")
    fields["messages"] = messages
    limit = request.max_output_tokens if request.max_output_tokens is not None else request.max_tokens
    fields.update(max_completion_tokens=limit, stream=True, **_tool_fields(request, tools))
    if wants_logprobs(request):
        fields.update(logprobs=True, top_logprobs=request.top_logprobs or 0)
    if request.reasoning is not None and request.reasoning.effort is not None:
        fields["reasoning_effort"] = request.reasoning.effort
    if (response_format := _response_format(request)) is not None:
        fields["response_format"] = response_format
    return chat_of(fields, PARAMS)


def _tool_fields(request: ResponsesRequest, tools: Tools) -> dict[str, Any]:
    if not tools.chat:
        return {}
    fields: dict[str, Any] = {"tools": tools.chat}
    if tools.choice is not None:
        fields["tool_choice"] = tools.choice
    if request.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = request.parallel_tool_calls
    return fields


def _response_format(request: ResponsesRequest) -> Mapping[str, Any] | None:
    style = request.text.format if request.text is not None else None
    if style is None or style.get("type") == "text":
        return None
    if style.get("type") != "json_schema":
        return style
    schema = {name: style[name] for name in ("name", "description", "schema", "strict") if name in style}
    if not isinstance(schema.get("schema"), dict):
        raise bad_request("text.format of type json_schema needs a schema.", "text.format")
    return {"type": "json_schema", "json_schema": {"name": "answer", **schema}}
