"""/inference/v1/generate, tokens in and tokens out, and the render routes that make its requests."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, RootModel

from pagoda.api.protocol.chat import ChatLogprobs
from pagoda.api.protocol.common import (
    INT64_MAX,
    INT64_MIN,
    Lenient,
    PromptLogprobs,
    StreamOptions,
    Usage,
)


class GenerateRequest(Lenient):
    model: str | None = Field(None, description="A name that /v1/models lists; may be left out.")
    request_id: str | None = Field(None, description="Becomes the id of the answer.")
    token_ids: list[int] = Field(description="The prompt.")
    sampling_params: dict[str, Any] = Field(
        default_factory=dict, description="By the names of vLLM's SamplingParams."
    )
    stream: bool | None = Field(False, description="Send the answer as server-sent events while it is made.")
    stream_options: StreamOptions | None = None
    cache_salt: str | None = None
    priority: int | None = Field(None, ge=INT64_MIN, le=INT64_MAX)
    user: str | None = None


class GenerateChoice(BaseModel):
    index: int
    logprobs: ChatLogprobs | None = None
    finish_reason: str | None
    stop_reason: int | str | None = None
    token_ids: list[int]


class GenerateResponse(BaseModel):
    request_id: str
    choices: list[GenerateChoice]
    prompt_logprobs: PromptLogprobs | None = None
    kv_transfer_params: None = None
    usage: Usage | None = None


class RenderedRequest(BaseModel):
    """What /inference/v1/generate takes."""

    request_id: str
    token_ids: list[int]
    features: None = None
    sampling_params: dict[str, Any]
    model: str
    stream: bool
    stream_options: StreamOptions | None = None
    cache_salt: str | None = None
    priority: int = 0
    kv_transfer_params: None = None


class RenderedRequests(RootModel[list[RenderedRequest]]):
    """One for each prompt."""
