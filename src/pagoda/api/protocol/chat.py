"""/v1/chat/completions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from pagoda.api.protocol.common import GenerationRequest, PromptLogprobs, ResponseMetrics, Usage


class ChatCompletionRequest(GenerationRequest):
    messages: list[dict[str, Any]] = Field(
        description='The conversation: objects with "role" and "content" (a text, or a list of text parts).'
    )
    max_completion_tokens: int | None = Field(
        None, description="Most tokens of an answer; before max_tokens."
    )
    logprobs: bool | None = Field(None, description="Give the log-probability of each token.")
    top_logprobs: int | None = Field(None, description="And those of so many most probable tokens, up to 20.")
    add_generation_prompt: bool | None = Field(
        None, description="Let the template open the answer (default)."
    )
    continue_final_message: bool | None = Field(None, description="Go on writing the last message.")
    chat_template_kwargs: dict[str, Any] | None = Field(None, description="Variables for the chat template.")
    documents: list[dict[str, Any]] | None = Field(None, description="Documents for templates that use them.")
    reasoning_effort: str | None = Field(None, description='"none" turns thinking off where the model can.')


class TopLogprob(BaseModel):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    content: list[TokenLogprob]


class ChatMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    annotations: None = None
    audio: None = None
    function_call: None = None
    tool_calls: list[dict[str, Any]] = []
    reasoning: str | None = None
    reasoning_content: str | None = None


class ChatChoice(BaseModel):
    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None = None
    finish_reason: str | None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    service_tier: None = None
    system_fingerprint: str | None = None
    usage: Usage
    prompt_logprobs: PromptLogprobs | None = None
    prompt_token_ids: list[int] | None = None
    kv_transfer_params: None = None
    metrics: ResponseMetrics | None = None


class ChatDelta(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None


class ChatChunkChoice(BaseModel):
    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None


class ChatCompletionChunk(BaseModel):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChatChunkChoice]
    system_fingerprint: str | None = None
    usage: Usage | None = None
    prompt_token_ids: list[int] | None = None
    metrics: ResponseMetrics | None = None
