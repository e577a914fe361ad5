"""What the APIs share that a chat answers: the chat made of their fields, and errors in their own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pagoda.api.body import describe
from pagoda.api.errors import ApiError, bad_request
from pagoda.api.protocol.chat import ChatCompletionRequest


def chat_of(fields: Mapping[str, Any], names: Mapping[str, str]) -> ChatCompletionRequest:
    """The chat with these fields. names: as in `renamed`. Raises ApiError 400."""
    try:
        return ChatCompletionRequest.model_validate(fields)
    except ValidationError as error:
        message, param = describe(error)
        raise renamed(bad_request(message, param), names) from error


def renamed(error: ApiError, names: Mapping[str, str]) -> ApiError:
    """The error with the name that the other API has for the chat's field at fault."""
    name = names.get(error.param or "")
    if error.param is None or name is None:
        return error
    message = error.message.replace(error.param, name)
    return ApiError(error.status_code, message, param=name, kind=error.kind, headers=error.headers)
