"""/v1/responses."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from pagoda.api.protocol.common import GenerationRequest, Lenient


class ReasoningOptions(Lenient):
    effort: str | None = Field(None, description='"none" turns thinking off where the model can.')
    summary: str | None = Field(None, description="Any: the reasoning is given as its summary too, in full.")


class TextOptions(Lenient):
    format: dict[str, Any] | None = Field(
        None, description='{"type": "text"}, "json_object", or "json_schema" with name, schema and strict.'
    )
    verbosity: str | None = Field(None, description="Accepted without effect.")


class ResponsesRequest(GenerationRequest):
    """A request to /v1/responses; sampling fields of chat completions work here too."""

    input: str | list[Any] | None = Field(
        None,
        description="A text, or items: message, function_call, function_call_output, reasoning and others.",
    )
    instructions: str | None = Field(
        None, description="A system message; not inherited by responses that follow."
    )
    background: bool | None = Field(
        None, description="Answer at once with status queued; the response is made meanwhile and polled."
    )
    include: list[str] | None = Field(
        None, description='"message.output_text.logprobs" and "reasoning.encrypted_content" are served.'
    )
    max_output_tokens: int | None = Field(
        None, ge=1, description="Most tokens of the answer, reasoning included."
    )
    max_tool_calls: int | None = Field(
        None, ge=1, description="Accepted; it limits built-in tools, and there are none."
    )
    metadata: dict[str, str] | None = Field(None, description="Up to 16 texts, given back.")
    parallel_tool_calls: bool | None = Field(None, description="false allows one tool call at most.")
    previous_response_id: str | None = Field(None, description="Go on after this stored response.")
    prompt_cache_key: str | None = None
    reasoning: ReasoningOptions | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = Field(None, description="Keep the response for later (default).")
    stream_options: dict[str, Any] | None = None  # type: ignore[assignment]
    text: TextOptions | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[Any] | None = Field(
        None, description="Functions and custom tools; kinds that only OpenAI can run are left out."
    )
    top_logprobs: int | None = Field(None, description="Log-probabilities of so many most probable tokens.")
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description='"auto" drops the oldest items of an input that does not fit.'
    )


class InputTokensDetails(BaseModel):
    cached_tokens: int
    cache_write_tokens: int = 0


class OutputTokensDetails(BaseModel):
    reasoning_tokens: int


class ResponsesUsage(BaseModel):
    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponsesFailure(BaseModel):
    code: str
    message: str


class IncompleteDetails(BaseModel):
    reason: str


class ResponseObject(BaseModel):
    """A response as it is answered, streamed and stored."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None = None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    background: bool = False
    error: ResponsesFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str]
    model: str
    output: list[dict[str, Any]]
    parallel_tool_calls: bool
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    reasoning: dict[str, Any] | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool
    temperature: float | None = None
    text: dict[str, Any]
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_logprobs: int | None = None
    top_p: float | None = None
    truncation: str
    usage: ResponsesUsage | None = None
    user: str | None = None


class InputItemList(BaseModel):
    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str
    last_id: str
    has_more: bool


class DeletedResponse(BaseModel):
    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class InputTokenCount(BaseModel):
    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int
