"""OpenAI chat messages made ready for a chat template: plain text contents and parsed tool arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_TEXT_PARTS = ("text", "input_text", "output_text", "refusal")


class MessageError(ValueError):
    """A message that cannot be given to a text model; one line that names it."""


def prepare_messages(
    messages: Sequence[Mapping[str, Any]], *, keep_developer: bool = False
) -> list[dict[str, Any]]:
    """Copies of `messages` as templates expect them. Raises MessageError.

    Lists of text parts are joined by newlines, an absent content becomes "", the JSON text of tool call
    arguments becomes a mapping (what is no JSON stays), and `developer` becomes `system` unless
    keep_developer.
    """
    if not messages:
        raise MessageError("messages must not be empty; send at least one message.")
    return [_prepare(message, index, keep_developer) for index, message in enumerate(messages)]


def _prepare(message: Mapping[str, Any], index: int, keep_developer: bool) -> dict[str, Any]:
    role = message.get("role")
    if role not in ROLES:
        raise MessageError(f"messages[{index}].role is {role!r}; use one of {', '.join(ROLES[:-1])}.")
    prepared = {key: value for key, value in message.items() if value is not None}
    prepared["content"] = _text(message.get("content"), index)
    if role == "developer" and not keep_developer:
        prepared["role"] = "system"
    reasoning = message.get("reasoning") or message.get("reasoning_content")
    if isinstance(reasoning, str):  # both spellings are in use; templates read the second
        prepared["reasoning"] = prepared["reasoning_content"] = reasoning
    calls = message.get("tool_calls")
    if calls and not isinstance(calls, list):
        raise MessageError(f"messages[{index}].tool_calls must be a list.")
    if calls:
        prepared["tool_calls"] = [_tool_call(call, index) for call in calls]
    else:
        prepared.pop("tool_calls", None)
    return prepared


def _text(content: Any, index: int) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise MessageError(f"messages[{index}].content must be a string or a list of text parts.")
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = part.get("type") if isinstance(part, dict) else type(part).__name__
        text = part.get("text", part.get("refusal")) if isinstance(part, dict) else None
        if kind not in _TEXT_PARTS or not isinstance(text, str):
            raise MessageError(
                f"messages[{index}].content has a part of type {kind!r}; this model reads text only, "
                'so send parts of the form {"type": "text", "text": "..."}.'
            )
        texts.append(text)
    return "\n".join(texts)


def _tool_call(call: Any, index: int) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise MessageError(f"messages[{index}].tool_calls has an entry without a function.")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = _parsed_arguments(arguments)
    return {**call, "function": {**function, "arguments": arguments if arguments is not None else {}}}


def _parsed_arguments(text: str) -> Any:
    """The JSON value; the text itself where a model wrote something else, so that a conversation can go on
    after an answer that broke off.
    """
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return text
