"""From a request's fields to sampling parameters, with the model's own defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pagoda.api.errors import ApiError, bad_request
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.protocol.common import GenerationRequest, SamplingFields
from pagoda.api.protocol.completions import CompletionRequest
from pagoda.engine.params import (
    MAX_LOGPROBS,
    ParameterError,
    RepetitionDetectionParams,
    SamplingParams,
    StructuredOutputsParams,
)

MAX_STOP_STRINGS = 256
MAX_STOP_CHARACTERS = 8192  #: of all stop strings together
COMPLETION_MAX_TOKENS = 16  #: OpenAI's default for text completions
_FROM_MODEL = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
_FIELDS = (
    *_FROM_MODEL,
    "n",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop_token_ids",
    "include_stop_str_in_output",
    "ignore_eos",
    "min_tokens",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "logit_bias",
    "allowed_token_ids",
    "bad_words",
    "thinking_token_budget",
    "prompt_logprobs",
    "logprob_token_ids",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server and a model allow. max_logprobs: -1 means the vocabulary."""

    max_model_len: int
    vocab_size: int
    max_logprobs: int = MAX_LOGPROBS


def model_defaults(generation_config: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What holds where a request says nothing: the model's values ("auto") or neutral ones ("vllm")."""
    if kind == "vllm":
        return {}
    defaults = {
        name: generation_config[name] for name in _FROM_MODEL if generation_config.get(name) is not None
    }
    if generation_config.get("max_new_tokens"):
        defaults["max_tokens"] = generation_config["max_new_tokens"]
    return defaults


def chat_sampling(
    request: ChatCompletionRequest,
    defaults: Mapping[str, Any],
    limits: Limits,
    constraint: StructuredOutputsParams | None = None,
) -> SamplingParams:
    """Raises ApiError 400 that names the field. Without a limit max_tokens is None; see `cap_answer`."""
    values = _common(request, defaults, limits, constraint)
    field = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
    values["max_tokens"] = _room(getattr(request, field), field, limits)
    if request.top_logprobs and not request.logprobs:
        raise bad_request("top_logprobs needs logprobs to be true.", "top_logprobs")
    if request.logprobs:
        values["logprobs"] = _count(request.top_logprobs or 0, "top_logprobs", limits)
    return _make(values)


def cap_answer(
    params: SamplingParams, defaults: Mapping[str, Any], room: int, most_tokens: int | None = None
) -> SamplingParams:
    """Limits an answer by the model's own max_new_tokens and the server's `most_tokens`; `room` is what the
    prompt leaves of the context.

    A limit of the request that exceeds `room` stays, since it is refused later; the others never are.
    """
    most = min((each for each in (defaults.get("max_tokens"), most_tokens) if each is not None), default=None)
    if most is None:
        return params
    wanted = params.max_tokens if params.max_tokens is not None else max(room, 1)
    return msgspec.structs.replace(params, max_tokens=min(wanted, most))


def completion_sampling(
    request: CompletionRequest,
    defaults: Mapping[str, Any],
    limits: Limits,
    constraint: StructuredOutputsParams | None = None,
) -> SamplingParams:
    """Raises ApiError 400 that names the field. With `echo`, max_tokens 0 asks for the prompt alone."""
    values = _common(request, defaults, limits, constraint)
    wanted = _room(request.max_tokens, "max_tokens", limits)
    if wanted is None:
        wanted = min(COMPLETION_MAX_TOKENS, defaults.get("max_tokens", COMPLETION_MAX_TOKENS))
    values["max_tokens"] = 1 if request.echo and wanted == 0 else wanted
    if request.logprobs is not None:
        values["logprobs"] = _count(request.logprobs, "logprobs", limits)
        if request.echo and values.get("prompt_logprobs") is None:
            values["prompt_logprobs"] = values["logprobs"]
    return _make(values)


def ranked(params: SamplingParams, request: SamplingFields) -> SamplingParams:
    """The parameters for `best_of` answers of which the n most probable are given. Raises ApiError 400."""
    best_of = request.best_of
    if best_of is None or best_of == params.n:
        return params
    if best_of < params.n:
        raise bad_request(f"best_of must be at least n={params.n}, got {best_of}.", "best_of")
    if params.temperature == 0:
        raise bad_request("best_of must be 1 when temperature is 0: greedy answers are all alike.", "best_of")
    if getattr(request, "stream", False):
        raise bad_request("best_of is only possible without stream: answers are ranked whole.", "best_of")
    logprobs = 0 if params.logprobs is None else params.logprobs
    return msgspec.structs.replace(params, n=best_of, logprobs=logprobs)


def _common(
    request: GenerationRequest,
    defaults: Mapping[str, Any],
    limits: Limits,
    constraint: StructuredOutputsParams | None,
) -> dict[str, Any]:
    values = {name: defaults[name] for name in _FROM_MODEL if name in defaults}
    given = {name: getattr(request, name) for name in _FIELDS}
    values.update({name: value for name, value in given.items() if value is not None})
    for name in ("logit_bias", "allowed_token_ids", "stop_token_ids"):
        count = len(values.get(name) or ())
        if count > limits.vocab_size:
            raise bad_request(
                f"{name} holds {count} tokens, but this model has {limits.vocab_size} in all.", name
            )
    values["stop"] = _stop(request.stop)
    for name in ("stop_token_ids", "allowed_token_ids", "bad_words", "logprob_token_ids"):
        if name in values:
            values[name] = tuple(values[name])
    if request.prompt_logprobs is not None:
        if request.stream:
            raise bad_request("prompt_logprobs is not available when streaming.", "prompt_logprobs")
        _count(request.prompt_logprobs, "prompt_logprobs", limits)
    if request.stream_options is not None and not request.stream:
        raise bad_request("stream_options is only allowed when stream is true.", "stream_options")
    values["truncate_prompt_tokens"] = request.truncate_prompt_tokens
    values["truncation_side"] = request.truncation_side
    values["structured_outputs"] = constraint
    if request.repetition_detection:
        values["repetition_detection"] = _repetition(request.repetition_detection)
    if request.use_beam_search and values.get("temperature") == 0:
        del values["temperature"]  # a search draws nothing, so n of them are no contradiction
    return values


def _stop(given: str | list[str] | None) -> tuple[str, ...]:
    stop = [given] if isinstance(given, str) else given or []
    if len(stop) > MAX_STOP_STRINGS:
        raise bad_request(f"stop holds {len(stop)} strings; at most {MAX_STOP_STRINGS} are accepted.", "stop")
    characters = sum(map(len, stop))
    if characters > MAX_STOP_CHARACTERS:
        message = f"stop holds {characters} characters; at most {MAX_STOP_CHARACTERS} are accepted."
        raise bad_request(message, "stop")
    return tuple(stop)


def _repetition(given: Mapping[str, Any]) -> RepetitionDetectionParams:
    names = RepetitionDetectionParams.__struct_fields__
    try:
        return msgspec.convert(
            {name: given[name] for name in names if given.get(name) is not None}, RepetitionDetectionParams
        )
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, ParameterError):
            raise bad_request(str(error.__cause__), error.__cause__.parameter) from error
        raise bad_request(f"repetition_detection: {error}.", "repetition_detection") from error


def _room(wanted: int | None, field: str, limits: Limits) -> int | None:
    if wanted is not None and wanted > limits.max_model_len:
        raise bad_request(
            f"{field}={wanted} cannot be greater than max_model_len=max_total_tokens={limits.max_model_len}. "
            "Please request fewer output tokens.",
            field,
        )
    return wanted


def _count(count: int, name: str, limits: Limits) -> int:
    most = limits.vocab_size if limits.max_logprobs == -1 else limits.max_logprobs
    wanted = limits.vocab_size if count == -1 else count
    if wanted > most:
        kind = "prompt" if name == "prompt_logprobs" else "sample"
        message = f"Requested {kind} logprobs of {wanted}, which is greater than max allowed: {most}"
        raise bad_request(message, name)
    if wanted < 0:
        raise bad_request(f"{name} must be between 0 and {most}, or -1 for all, got {count}.", name)
    return wanted


def _make(values: dict[str, Any]) -> SamplingParams:
    try:
        return SamplingParams(**values)
    except ParameterError as error:
        raise bad_request(str(error), error.parameter) from error
    except (TypeError, OverflowError) as error:
        raise ApiError(400, f"The sampling parameters cannot be used: {error}.") from error
