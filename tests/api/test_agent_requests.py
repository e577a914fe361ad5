"""Whatever JSON an agent sends to /v1/responses or /v1/messages is a chat, or refused in one line."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pagoda.api.errors import ApiError
from pagoda.api.messages_api import convert as messages_convert
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.protocol.messages import MessagesRequest
from pagoda.api.protocol.responses import ResponsesRequest
from pagoda.api.responses_api import convert as responses_convert
from pagoda.api.responses_api.items import Item, input_items, missing_item
from pagoda.api.responses_api.tools import read_tools

KEYS = [
    "type",
    "role",
    "content",
    "text",
    "id",
    "call_id",
    "name",
    "arguments",
    "output",
    "input",
    "summary",
    "encrypted_content",
    "function",
    "parameters",
    "tools",
    "format",
    "tool_use_id",
    "is_error",
    "source",
    "data",
    "thinking",
    "signature",
    "title",
    "input_schema",
    "schema",
    "mode",
    "strict",
]
VALUES = [
    "message",
    "user",
    "assistant",
    "system",
    "developer",
    "function_call",
    "function_call_output",
    "reasoning",
    "item_reference",
    "custom_tool_call",
    "custom_tool_call_output",
    "text",
    "input_text",
    "output_text",
    "refusal",
    "function",
    "custom",
    "namespace",
    "allowed_tools",
    "auto",
    "required",
    "none",
    "any",
    "tool",
    "tool_use",
    "tool_result",
    "thinking",
    "document",
    "search_result",
    "image",
    "json_schema",
    "json_object",
    "grammar",
    "enabled",
    "pagoda1.QQ",
]
LEAF = st.one_of(
    st.sampled_from(VALUES),
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(0, 2),
    st.text(max_size=3),
)
TREE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
OBJECT = st.dictionaries(st.sampled_from(KEYS), TREE, max_size=5)
RESPONSES_FIELDS = ("text", "tool_choice", "reasoning", "metadata", "include", "instructions", "stop")
MESSAGES_FIELDS = ("system", "tool_choice", "thinking", "output_config", "metadata", "chat_template_kwargs")


def absent(item_id: str) -> Item:
    raise missing_item(item_id)


def check(made: ChatCompletionRequest) -> None:
    assert made.messages
    assert {message["role"] for message in made.messages} <= {
        "system",
        "developer",
        "user",
        "assistant",
        "tool",
    }


@settings(max_examples=60)
@given(
    given=st.text(max_size=3) | st.lists(OBJECT | TREE, max_size=4),
    tools=st.none() | st.lists(OBJECT, max_size=3),
    fields=st.dictionaries(st.sampled_from(RESPONSES_FIELDS), TREE, max_size=3),
)
def test_responses(given: Any, tools: Any, fields: dict[str, Any]) -> None:
    try:
        request = ResponsesRequest.model_validate({"input": given, "tools": tools, **fields})
    except ValidationError:
        return
    try:
        responses_convert.check_request(request)
        offered = read_tools(request.tools, request.tool_choice)
        made = responses_convert.chat_request(request, input_items(given, absent), offered)
    except ApiError as error:
        refusals = [error.status_code]
    else:
        refusals = []
        check(made)
    assert all(400 <= status < 500 for status in refusals)


@settings(max_examples=60)
@given(
    messages=st.lists(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["user", "assistant", "system"]),
                "content": st.text(max_size=3) | st.lists(OBJECT, max_size=3),
            }
        ),
        max_size=4,
    ),
    tools=st.none() | st.lists(OBJECT, max_size=3),
    fields=st.dictionaries(st.sampled_from(MESSAGES_FIELDS), TREE, max_size=3),
)
def test_messages(messages: Any, tools: Any, fields: dict[str, Any]) -> None:
    body = {"max_tokens": 5, "messages": messages, "tools": tools, **fields}
    try:
        request = MessagesRequest.model_validate(body)
    except ValidationError:
        return
    try:
        made = messages_convert.chat_request(request)
    except ApiError as error:
        refusals = [error.status_code]
    else:
        refusals = []
        check(made)
    assert all(400 <= status < 500 for status in refusals)
