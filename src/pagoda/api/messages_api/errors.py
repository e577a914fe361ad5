"""Errors in Anthropic's shape: `{"type": "error", "error": {"type", "message"}}`."""

from __future__ import annotations

from typing import Any

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def is_messages_path(path: str) -> bool:
    """Whether errors at this path, whatever a proxy puts before it, are for clients of the Messages API."""
    return "/v1/messages/" in f"{path}/"


def messages_error(status: int, message: str) -> tuple[int, dict[str, Any]]:
    """Status and body. What is not possible now (503) is 529 there: its clients then try again."""
    if status == 503:
        status = 529
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return status, {"type": "error", "error": {"type": kind, "message": message}}
