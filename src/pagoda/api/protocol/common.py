"""Fields that chat and text completions share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class Lenient(BaseModel):
    """Fields that are not listed are accepted and ignored, as clients send many."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class StreamOptions(Lenient):
    include_usage: bool | None = Field(None, description="Send a last chunk with the token counts.")
    continuous_usage_stats: bool | None = Field(None, description="Send token counts with every chunk.")


class GenerationRequest(Lenient):
    """What a request for generated text may say. None means not given: the model's default holds."""

    model: str | None = Field(None, description="A name that /v1/models lists; may be left out.")
    stream: bool | None = Field(False, description="Send the answer as server-sent events while it is made.")
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=128, description="Number of answers.")
    max_tokens: int | None = Field(None, description="Most tokens of an answer.")
    temperature: float | None = Field(None, description="0 is greedy; higher is more varied.")
    top_p: float | None = Field(None, description="Draw from the most probable tokens of this total share.")
    top_k: int | None = Field(None, description="Draw from so many most probable tokens; 0 or -1: from all.")
    min_p: float | None = Field(None, description="Leave out tokens below this share of the top probability.")
    presence_penalty: float | None = Field(None, description="-2 to 2; on tokens that occur in the answer.")
    frequency_penalty: float | None = Field(
        None, description="-2 to 2; by how often tokens occur in the answer."
    )
    repetition_penalty: float | None = Field(
        None, description="Above 1: against tokens of prompt and answer."
    )
    seed: int | None = Field(None, ge=INT64_MIN, le=INT64_MAX, description="Makes the answer reproducible.")
    stop: str | list[str] | None = Field(None, description="Texts that end the answer.")
    stop_token_ids: list[int] | None = Field(None, description="Tokens that end the answer.")
    include_stop_str_in_output: bool | None = None
    ignore_eos: bool | None = Field(None, description="Go on after an end token.")
    min_tokens: int | None = Field(None, description="Fewest tokens before an end token or stop text counts.")
    skip_special_tokens: bool | None = Field(
        None, description="Leave special tokens out of the text (default)."
    )
    prompt_logprobs: int | None = Field(None, description="Log-probabilities of the prompt's tokens.")
    return_token_ids: bool | None = Field(None, description="Give the token ids of prompt and answer too.")
    return_tokens_as_token_ids: bool | None = Field(
        None, description='Write tokens in log-probabilities as "token_id:ID".'
    )
    add_special_tokens: bool | None = Field(None, description="Add what the tokenizer adds around a text.")
    priority: int | None = Field(None, description="Lower goes first.")
    cache_salt: str | None = Field(
        None, description="Share cached prompts only with requests of the same salt."
    )
    request_id: str | None = Field(None, description="Becomes part of the id of the answer.")
    user: str | None = None

    def unlisted(self, name: str) -> Any:
        """A field that this model does not list, None when it was not sent."""
        return (self.model_extra or {}).get(name)


class PromptTokensDetails(BaseModel):
    cached_tokens: int | None = None


class Usage(BaseModel):
    """Token counts; n answers share one prompt."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = None


class ResponseMetrics(BaseModel):
    """How fast the answer was, in seconds; null where it cannot be told (more than one prompt, a single
    token).
    """

    time_to_first_token: float | None = None
    generation_time: float | None = None
    queue_time: float | None = None
    tokens_per_second: float | None = None


class PromptLogprob(BaseModel):
    logprob: float
    rank: int | None
    decoded_token: str | None


PromptLogprobs = list[dict[int, PromptLogprob] | None]


class ErrorInfo(BaseModel):
    message: str
    type: str
    param: str | None
    code: int


class ErrorResponse(BaseModel):
    error: ErrorInfo
