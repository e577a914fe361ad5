"""Fields that chat and text completions share. None means not given, also where a client sends null."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

_OLD: dict[str, Any] = {"deprecated": True}  # in the schema alone: reading the field is no mistake

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def _fail_fast(schema: Any) -> None:
    """Makes every list of a pydantic schema stop at its first wrong element."""
    if isinstance(schema, dict):
        if schema.get("type") == "list":
            schema["fail_fast"] = True
        for part in schema.values():
            _fail_fast(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            _fail_fast(part)


class Lenient(BaseModel):
    """Fields that are not listed are accepted and ignored, as clients send many.

    Lists are judged by their first wrong element: millions of wrong ones cost no more than one.
    """

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _fail_fast(schema)
        return schema

    def unlisted(self, name: str) -> Any:
        """A field that this model does not list, None when it was not sent."""
        return (self.model_extra or {}).get(name)


class StreamOptions(Lenient):
    include_usage: bool | None = Field(None, description="Send a last chunk with the token counts.")
    continuous_usage_stats: bool | None = Field(None, description="Send token counts with every chunk.")


class SamplingFields(Lenient):
    """How tokens are chosen, when an answer ends, and what is reported of them."""

    n: int | None = Field(None, ge=1, le=128, description="Number of answers.")
    best_of: int | None = Field(
        None, ge=1, le=128, description="Make so many answers and give the n most probable."
    )
    max_tokens: int | None = Field(None, description="Most tokens of an answer.")
    min_tokens: int | None = Field(None, description="Fewest tokens before an end token or stop text counts.")
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
    seed: int | None = Field(
        None, ge=-1, le=INT64_MAX, description="Makes the answer reproducible; -1 draws a fresh one."
    )
    stop: str | list[str] | None = Field(None, description="Texts that end the answer.")
    stop_token_ids: list[int] | None = Field(None, description="Tokens that end the answer.")
    include_stop_str_in_output: bool | None = None
    ignore_eos: bool | None = Field(None, description="Go on after an end token.")
    skip_special_tokens: bool | None = Field(
        None, description="Leave special tokens out of the text (default)."
    )
    spaces_between_special_tokens: bool | None = Field(None, description="Accepted; changes nothing here.")
    logit_bias: dict[str, float] | None = Field(
        None, description="Added to the logits of tokens, by token id; -100 to 100."
    )
    allowed_token_ids: list[int] | None = Field(None, description="Only these tokens may be chosen.")
    bad_words: list[str] | None = Field(None, description="Texts that are not written.")
    thinking_token_budget: int | None = Field(
        None, description="Tokens of reasoning after which its end is forced; -1: no limit."
    )
    repetition_detection: dict[str, Any] | None = Field(
        None,
        description="End an answer that repeats itself: max_pattern_size, min_pattern_size, min_count.",
    )
    use_beam_search: bool | None = Field(None, description="Search the n most probable answers.")
    length_penalty: float | None = Field(
        None, description="Of beam search: below 1 short answers, above 1 long ones."
    )
    prompt_logprobs: int | None = Field(None, description="Log-probabilities of the prompt's tokens.")
    logprob_token_ids: list[int] | None = Field(
        None, description="Report the log-probabilities of these tokens too."
    )
    return_token_ids: bool | None = Field(None, description="Give the token ids of prompt and answer too.")
    return_tokens_as_token_ids: bool | None = Field(
        None, description='Write tokens in log-probabilities as "token_id:ID".'
    )


class StructuredFields(Lenient):
    """What the text of an answer must be, in today's and in older spellings."""

    response_format: dict[str, Any] | str | None = Field(
        None, description="type: text, json_object, json_schema or structural_tag."
    )
    structured_outputs: dict[str, Any] | None = Field(
        None, description="One of json, regex, choice, grammar, json_object, structural_tag."
    )
    guided_json: str | bool | dict[str, Any] | None = Field(None, json_schema_extra=_OLD)
    guided_regex: str | None = Field(None, json_schema_extra=_OLD)
    guided_choice: list[str] | None = Field(None, json_schema_extra=_OLD)
    guided_grammar: str | None = Field(None, json_schema_extra=_OLD)
    guided_json_object: bool | None = Field(None, json_schema_extra=_OLD)
    guided_whitespace_pattern: str | None = Field(None, json_schema_extra=_OLD)
    guided_decoding_backend: str | None = Field(None, json_schema_extra=_OLD)


class GenerationRequest(SamplingFields, StructuredFields):
    """What a request for generated text may say."""

    model: str | None = Field(None, description="A name that /v1/models lists; may be left out.")
    stream: bool | None = Field(False, description="Send the answer as server-sent events while it is made.")
    stream_options: StreamOptions | None = None
    truncate_prompt_tokens: int | None = Field(
        None, description="Keep so many of the prompt's tokens; -1: as many as fit."
    )
    truncation_side: str | None = Field(
        None, description='Which end is cut off: "left" (default) or "right".'
    )
    add_special_tokens: bool | None = Field(None, description="Add what the tokenizer adds around a text.")
    priority: int | None = Field(None, ge=INT64_MIN, le=INT64_MAX, description="Lower goes first.")
    cache_salt: str | None = Field(
        None, description="Share cached prompts only with requests of the same salt."
    )
    request_id: str | None = Field(None, description="Becomes part of the id of the answer.")
    user: str | None = Field(None, description="Requests of different users take turns.")


class PromptTokensDetails(BaseModel):
    cached_tokens: int | None = None


class CompletionTokensDetails(BaseModel):
    reasoning_tokens: int | None = None


class Usage(BaseModel):
    """Token counts; n answers share one prompt."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = None
    completion_tokens_details: CompletionTokensDetails | None = None


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
