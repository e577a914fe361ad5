"""The response object: what a request asked for, and how far its answer is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pagoda.api.chat_run import ChatRun
from pagoda.api.protocol.responses import ResponsesRequest
from pagoda.api.responses_api.tools import Tools

TERMINAL = ("completed", "incomplete", "failed", "cancelled")
_NEUTRAL = {"temperature": 1.0, "top_p": 1.0}


@dataclass(slots=True)
class ResponseState:
    """One response and its fields that change; `shown` is how the API writes it."""

    head: dict[str, Any]  #: the fields that stay
    status: str = "in_progress"
    output: Sequence[dict[str, Any]] = ()
    usage: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    incomplete_reason: str | None = None
    completed_at: int | None = field(default=None)

    @property
    def id(self) -> str:
        return str(self.head["id"])

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    def end(self, status: str) -> None:
        self.status = status
        if status == "completed":
            self.completed_at = int(time.time())

    def fail(self, message: str) -> None:
        self.end("failed")
        self.error = {"code": "server_error", "message": message}

    def shown(self) -> dict[str, Any]:
        reason = self.incomplete_reason
        return {
            **self.head,
            "status": self.status,
            "completed_at": self.completed_at,
            "error": self.error,
            "incomplete_details": None if reason is None else {"reason": reason},
            "output": [dict(item) for item in self.output],
            "usage": self.usage,
        }


def response_head(response_id: str, run: ChatRun, request: ResponsesRequest, tools: Tools) -> dict[str, Any]:
    """The fields of a response that are known when it begins; sampling values are those that hold."""
    defaults = {**_NEUTRAL, **run.lease.model.sampling_defaults}
    asked = {name: getattr(request, name) for name in _NEUTRAL}
    text = request.text
    shown_text: dict[str, Any] = {"format": (text and text.format) or {"type": "text"}}
    if text is not None and text.verbosity is not None:
        shown_text["verbosity"] = text.verbosity
    return {
        "id": response_id,
        "object": "response",
        "created_at": run.created,
        "background": bool(request.background),
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "metadata": request.metadata or {},
        "model": run.model,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning": {
            "effort": request.reasoning.effort if request.reasoning else None,
            "summary": request.reasoning.summary if request.reasoning else None,
        },
        "safety_identifier": request.safety_identifier,
        "service_tier": "default",
        "store": request.store is not False,
        "temperature": asked["temperature"] if asked["temperature"] is not None else defaults["temperature"],
        "text": shown_text,
        "tool_choice": tools.shown_choice,
        "tools": tools.shown,
        "top_logprobs": request.top_logprobs or 0,
        "top_p": asked["top_p"] if asked["top_p"] is not None else defaults["top_p"],
        "truncation": request.truncation or "disabled",
        "user": request.user,
    }


def response_usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Token counts of a chat by the names of this API."""
    details = usage.get("prompt_tokens_details") or {}
    answer = usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": details.get("cached_tokens") or 0, "cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": answer.get("reasoning_tokens") or 0},
        "total_tokens": usage["total_tokens"],
    }
