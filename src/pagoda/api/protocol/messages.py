"""/v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from pagoda.api.protocol.common import Lenient


class MessageParam(Lenient):
    role: str
    content: str | list[dict[str, Any]] | None = None


class ToolParam(Lenient):
    name: str
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    type: str | None = None


class ToolChoiceParam(Lenient):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingParam(Lenient):
    type: str = Field(description="enabled, adaptive, between_tools or disabled.")
    budget_tokens: int | None = Field(None, description="Most tokens of thinking, with type enabled.")
    display: str | None = Field(None, description='"omitted" sends thinking as an opaque signature alone.')


class OutputConfig(Lenient):
    effort: str | None = None
    format: dict[str, Any] | None = Field(None, description='{"type": "json_schema", "schema": {...}}.')


class CountTokensRequest(Lenient):
    """What makes a prompt; fields of chat completions such as chat_template_kwargs work here too."""

    model: str | None = Field(
        None, description="A name that /v1/models lists; claude-* is the default model."
    )
    messages: list[MessageParam] = Field(min_length=1)
    system: str | list[dict[str, Any]] | None = None
    tools: list[ToolParam] | None = None
    tool_choice: ToolChoiceParam | None = None
    thinking: ThinkingParam | None = None
    output_config: OutputConfig | None = None
    output_format: dict[str, Any] | None = Field(None, description="An older place of output_config.format.")
    chat_template_kwargs: dict[str, Any] | None = Field(None, description="Variables for the chat template.")


class MessagesRequest(CountTokensRequest):
    """A request to /v1/messages; sampling fields of chat completions work here too."""

    max_tokens: int = Field(ge=1, description="Most tokens of the answer, thinking included.")
    stop_sequences: list[str] | None = None
    stream: bool | None = False
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    metadata: dict[str, Any] | None = None


class MessagesTokensDetails(BaseModel):
    thinking_tokens: int


class MessagesUsage(BaseModel):
    """input_tokens: without those that were read from the cache."""

    input_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: MessagesTokensDetails


class Message(BaseModel):
    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessagesUsage


class TokenCount(BaseModel):
    input_tokens: int


class MessagesErrorInfo(BaseModel):
    type: str
    message: str


class MessagesErrorResponse(BaseModel):
    type: Literal["error"] = "error"
    error: MessagesErrorInfo
