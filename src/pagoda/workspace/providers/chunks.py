"""Chunks of servers that nobody here has written: what is not as the protocol has it is left out."""

from __future__ import annotations

from typing import Any

_MOST = 2**53  #: numbers above come out wrong in a browser
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = {"prompt_tokens_details": ("cached_tokens",), "completion_tokens_details": ("reasoning_tokens",)}
_REASONING = ("reasoning_content", "reasoning", "thinking")  #: one thing, as servers spell it


def clean_chunk(found: dict[str, Any]) -> dict[str, Any]:
    """A chat.completion.chunk, or a whole chat.completion, with the fields that the workspace reads, each of
    its own type.
    """
    chunk: dict[str, Any] = {"choices": []}
    choices = found.get("choices")
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and choice.get("index") in (0, None):
            delta = choice.get("delta") if "delta" in choice else choice.get("message")
            reason = choice.get("finish_reason")
            chunk["choices"].append(
                {
                    "index": 0,
                    "delta": _delta(delta) if isinstance(delta, dict) else {},
                    "finish_reason": reason if isinstance(reason, str) else None,
                }
            )
    if isinstance(usage := found.get("usage"), dict):
        chunk["usage"] = _usage(usage)
    return chunk


def error_in(found: Any) -> str | None:
    """The message of an error object, in the shapes that servers give it."""
    if not isinstance(found, dict):
        return None
    error = found.get("error", found.get("detail"))
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail")
    if error is None and found.get("object") == "error":
        error = found.get("message")
    return " ".join(str(error).split())[:300] if error else None


def _delta(found: dict[str, Any]) -> dict[str, Any]:
    delta: dict[str, Any] = {}
    if isinstance(content := found.get("content"), str) and content:
        delta["content"] = content
    reasoning = next((found[name] for name in _REASONING if isinstance(found.get(name), str)), "")
    if reasoning:
        delta["reasoning_content"] = reasoning
    calls = found.get("tool_calls")
    if isinstance(calls, list):
        delta["tool_calls"] = [_call(call, i) for i, call in enumerate(calls) if isinstance(call, dict)]
    return delta


def _call(found: dict[str, Any], place: int) -> dict[str, Any]:
    function = found.get("function")
    function = function if isinstance(function, dict) else {}
    index = found.get("index")
    return {
        "index": index if type(index) is int and 0 <= index < 1024 else place,
        "id": _text(found.get("id")),
        "type": "function",
        "function": {"name": _text(function.get("name")), "arguments": _text(function.get("arguments"))},
    }


def _usage(found: dict[str, Any]) -> dict[str, Any]:
    usage: dict[str, Any] = {name: found[name] for name in _COUNTS if _is_count(found.get(name))}
    for name, fields in _DETAILS.items():
        details = found.get(name)
        if isinstance(details, dict):
            usage[name] = {each: details[each] for each in fields if _is_count(details.get(each))}
    return usage


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
