"""/v1/completions."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from pagoda.api.protocol.common import GenerationRequest, PromptLogprobs, ResponseMetrics, Usage


class CompletionRequest(GenerationRequest):
    prompt: str | list[int] | list[str] | list[list[int]] = Field(
        description="A text, a list of token ids, or a list of either."
    )
    echo: bool | None = Field(None, description="Give the prompt before the answer.")
    logprobs: int | None = Field(
        None, description="Log-probabilities of so many most probable tokens, up to 20."
    )


class CompletionLogprobs(BaseModel):
    text_offset: list[int]
    token_logprobs: list[float | None]
    tokens: list[str]
    top_logprobs: list[dict[str, float] | None]


class CompletionChoice(BaseModel):
    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: str | None
    stop_reason: int | str | None = None
    token_ids: list[int] | None = None
    prompt_logprobs: PromptLogprobs | None = None
    prompt_token_ids: list[int] | None = None


class Completion(BaseModel):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    service_tier: None = None
    system_fingerprint: str | None = None
    usage: Usage
    kv_transfer_params: None = None
    metrics: ResponseMetrics | None = None


class CompletionChunk(BaseModel):
    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    system_fingerprint: str | None = None
    usage: Usage | None = None
    metrics: ResponseMetrics | None = None
