"""From a request's fields to sampling parameters, with the model's own defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pagoda.api.errors import ApiError, bad_request
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.protocol.common import GenerationRequest
from pagoda.api.protocol.completions import CompletionRequest
from pagoda.engine.params import MAX_LOGPROBS, ParameterError, SamplingParams

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
    "prompt_logprobs",
)


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


def chat_sampling(request: ChatCompletionRequest, defaults: Mapping[str, Any]) -> SamplingParams:
    """Raises ApiError 400 that names the field. Without a limit max_tokens is None; see `cap_answer`."""
    values = _common(request, defaults)
    limit = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
    values["max_tokens"] = limit
    if request.top_logprobs and not request.logprobs:
        raise bad_request("top_logprobs needs logprobs to be true.", "top_logprobs")
    if request.logprobs:
        values["logprobs"] = _count(request.top_logprobs or 0, "top_logprobs")
    return _make(values)


def cap_answer(params: SamplingParams, defaults: Mapping[str, Any], room: int) -> SamplingParams:
    """Limits an answer by the model's own max_new_tokens; `room` is what the prompt leaves of the context.

    A limit of the request that exceeds `room` stays, since it is refused later; the model's never is.
    """
    most = defaults.get("max_tokens")
    if most is None:
        return params
    wanted = params.max_tokens if params.max_tokens is not None else max(room, 1)
    return msgspec.structs.replace(params, max_tokens=min(wanted, most))


def completion_sampling(request: CompletionRequest, defaults: Mapping[str, Any]) -> SamplingParams:
    """Raises ApiError 400 that names the field. With `echo`, max_tokens 0 asks for the prompt alone."""
    values = _common(request, defaults)
    wanted = request.max_tokens
    if wanted is None:
        wanted = min(COMPLETION_MAX_TOKENS, defaults.get("max_tokens", COMPLETION_MAX_TOKENS))
    values["max_tokens"] = 1 if request.echo and wanted == 0 else wanted
    if request.logprobs is not None:
        values["logprobs"] = _count(request.logprobs, "logprobs")
        if request.echo and values.get("prompt_logprobs") is None:
            values["prompt_logprobs"] = values["logprobs"]
    return _make(values)


def _common(request: GenerationRequest, defaults: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: defaults[name] for name in _FROM_MODEL if name in defaults}
    given = {name: getattr(request, name) for name in _FIELDS}
    values.update({name: value for name, value in given.items() if value is not None})
    stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
    if len(stop) > MAX_STOP_STRINGS:
        raise bad_request(f"stop holds {len(stop)} strings; at most {MAX_STOP_STRINGS} are accepted.", "stop")
    characters = sum(map(len, stop))
    if characters > MAX_STOP_CHARACTERS:
        message = f"stop holds {characters} characters; at most {MAX_STOP_CHARACTERS} are accepted."
        raise bad_request(message, "stop")
    values["stop"] = tuple(stop)
    values["stop_token_ids"] = tuple(values.get("stop_token_ids", ()))
    if request.prompt_logprobs is not None:
        if request.stream:
            raise bad_request("prompt_logprobs is not available when streaming.", "prompt_logprobs")
        _count(request.prompt_logprobs, "prompt_logprobs")
    if request.stream_options is not None and not request.stream:
        raise bad_request("stream_options is only allowed when stream is true.", "stream_options")
    return values


def _count(count: int, name: str) -> int:
    if count > MAX_LOGPROBS:
        kind = "prompt" if name == "prompt_logprobs" else "sample"
        message = f"Requested {kind} logprobs of {count}, which is greater than max allowed: {MAX_LOGPROBS}"
        raise bad_request(message, name)
    if count < 0:
        raise bad_request(f"{name} must be between 0 and {MAX_LOGPROBS}, got {count}.", name)
    return count


def _make(values: dict[str, Any]) -> SamplingParams:
    try:
        return SamplingParams(**values)
    except ParameterError as error:
        raise bad_request(str(error), error.parameter) from error
    except (TypeError, OverflowError) as error:
        raise ApiError(400, f"The sampling parameters cannot be used: {error}.") from error
