"""/v1/chat/completions."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from pagoda.api.protocol.common import GenerationRequest, PromptLogprobs, ResponseMetrics, Usage


class ChatFields(GenerationRequest):
    """How a conversation becomes a prompt."""

    add_generation_prompt: bool | None = Field(
        None, description="Let the template open the answer (default)."
    )
    continue_final_message: bool | None = Field(None, description="Go on writing the last message.")
    chat_template: str | None = Field(
        None, description="A template for this request, where the server trusts those of requests."
    )
    chat_template_kwargs: dict[str, Any] | None = Field(None, description="Variables for the chat template.")
    documents: list[dict[str, Any]] | None = Field(None, description="Documents for templates that use them.")
    tools: list[dict[str, Any]] | None = Field(None, description="Functions that the model may call.")
    tool_choice: str | dict[str, Any] | None = Field(
        None, description='"none", "auto" (default with tools), "required", or a function by name.'
    )
    parallel_tool_calls: bool | None = Field(None, description="Several calls in one answer (default).")
    reasoning_effort: str | None = Field(None, description='"none" turns thinking off where the model can.')
    enable_thinking: bool | None = Field(
        None, description="DashScope's spelling of chat_template_kwargs.enable_thinking."
    )
    include_reasoning: bool | None = Field(None, description="false: leave the reasoning out of the answer.")


class _ChatRequest(ChatFields):
    max_completion_tokens: int | None = Field(
        None, description="Most tokens of an answer; before max_tokens."
    )
    logprobs: bool | None = Field(None, description="Give the log-probability of each token.")
    top_logprobs: int | None = Field(
        None, description="And those of so many most probable tokens; -1: of all."
    )
    echo: bool | None = Field(
        None, description="Give the last message before the answer, where both have one role."
    )
    return_prompt_text: bool | None = Field(None, description="Give the text that the template made.")


class ChatCompletionRequest(_ChatRequest):
    messages: list[dict[str, Any]] = Field(
        description='The conversation: objects with "role" and "content" (a text, or a list of text parts).'
    )


class BatchChatRequest(_ChatRequest):
    messages: list[list[dict[str, Any]]] = Field(
        description="Conversations, all asked with the same settings."
    )


class TopLogprob(BaseModel):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    content: list[TokenLogprob]
    refusal: None = None


class FunctionCall(BaseModel):
    name: str
    arguments: str = Field(description="JSON text.")


class ToolCall(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(BaseModel):
    """`reasoning` and `reasoning_content` are the same, for clients that read either."""

    role: str = "assistant"
    content: str | None
    refusal: None = None
    audio: None = None
    tool_calls: list[ToolCall] = []
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
    prompt_text: str | None = None
    kv_transfer_params: None = None
    metrics: ResponseMetrics | None = None


class FunctionCallDelta(BaseModel):
    name: str | None = None
    arguments: str | None = None


class ToolCallChunk(BaseModel):
    """The first of a call has id, type and name; later ones add to the arguments."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionCallDelta


class ChatDelta(BaseModel):
    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallChunk] | None = None


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
    prompt_text: str | None = None
    metrics: ResponseMetrics | None = None
