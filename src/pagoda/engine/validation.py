"""What a prompt and its parameters must meet before the engine sees them, in the words clients of vLLM look
for.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pagoda.engine.params import SamplingParams

_LONGEST_TOKEN = 256  #: characters; vocabularies in use stop at 128 (runs of spaces)


class PromptError(ValueError):
    """A request that can never be served; `parameter` names what to change."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


def check_prompt(
    token_ids: Sequence[int], params: SamplingParams, *, max_model_len: int, vocab_size: int
) -> SamplingParams:
    """The parameters with max_tokens filled in (the rest of the context where it is None) and counts of
    log-probabilities that this vocabulary has. Raises PromptError.
    """
    if not token_ids:
        raise PromptError("prompt", "The prompt must not be empty: it has no tokens.")
    if min(token_ids) < 0 or max(token_ids) >= vocab_size:
        wrong = next(token for token in token_ids if not 0 <= token < vocab_size)
        raise PromptError(
            "prompt",
            f"Token id {wrong} is out of vocabulary: this model has token ids 0 to {vocab_size - 1}.",
        )
    for name in ("stop_token_ids", "allowed_token_ids", "logit_bias", "logprob_token_ids"):
        for token in getattr(params, name) or ():
            if not 0 <= token < vocab_size:
                raise PromptError(
                    name, f"{name} contains {token}, but this model has token ids 0 to {vocab_size - 1}."
                )
    count = len(token_ids)
    rest = max_model_len - count
    wanted = params.max_tokens if params.max_tokens is not None else max(1, params.min_tokens)
    if wanted > rest:
        raise PromptError("input_tokens", context_message(max_model_len, wanted, count))
    filled: dict[str, int] = {}
    if params.max_tokens is None:
        filled["max_tokens"] = rest
    for name in ("logprobs", "prompt_logprobs"):
        if getattr(params, name) is not None:
            filled[name] = _resolve(getattr(params, name), vocab_size)
    return msgspec.structs.replace(params, **filled) if filled else params


def check_logprobs(params: SamplingParams, max_logprobs: int, *, vocab_size: int) -> None:
    """Refuses more log-probabilities than a server allows (-1: no limit but the vocabulary). Raises
    PromptError.
    """
    most = vocab_size if max_logprobs == -1 else max_logprobs
    for name, kind in (("logprobs", "sample"), ("prompt_logprobs", "prompt")):
        count = getattr(params, name)
        if count is not None and _resolve(count, vocab_size, cut=False) > most:
            count = _resolve(count, vocab_size, cut=False)
            raise PromptError(
                name, f"Requested {kind} logprobs of {count}, which is greater than max allowed: {most}"
            )


def truncate_prompt(token_ids: list[int], params: SamplingParams, *, max_model_len: int) -> list[int]:
    """The prompt cut as params.truncate_prompt_tokens asks; -1 leaves room for the answer. Raises
    PromptError.
    """
    most = params.truncate_prompt_tokens
    if most is None:
        return token_ids
    if most == -1:
        most = max(1, max_model_len - (params.max_tokens or max(1, params.min_tokens)))
    if most > max_model_len:
        raise PromptError(
            "truncate_prompt_tokens",
            f"truncate_prompt_tokens value ({most}) is greater than max_model_len ({max_model_len}). "
            "Please, select a smaller truncation size.",
        )
    if len(token_ids) <= most:
        return token_ids
    return token_ids[:most] if params.truncation_side == "right" else token_ids[-most:]


def check_text(text: str, params: SamplingParams, *, max_model_len: int) -> None:
    """Refuses a text that is too long for the context however it is cut into tokens, before work is spent on
    it.

    Raises PromptError.
    """
    if params.truncate_prompt_tokens is not None:
        return  # any text fits
    at_least = -(-len(text) // _LONGEST_TOKEN)
    if at_least >= max_model_len:
        wanted = params.max_tokens if params.max_tokens is not None else max(1, params.min_tokens)
        message = context_message(
            max_model_len, wanted, at_least, "at least ", f"input_text, value={len(text)}"
        )
        raise PromptError("input_text", message)


def context_message(
    max_model_len: int, wanted: int, count: int, bound: str = "", parameter: str | None = None
) -> str:
    """The sentence by which clients recognise a prompt that does not fit; `bound` is "" or "at least ".
    parameter: what is at fault, and its value.
    """
    return (
        f"This model's maximum context length is {max_model_len} tokens. However, you requested {wanted} "
        f"output tokens and your prompt contains {bound}{count} input tokens, for a total of "
        f"{bound}{wanted + count} tokens. Please reduce the length of the input prompt or the number of "
        f"requested output tokens. (parameter={parameter or f'input_tokens, value={count}'})"
    )


def _resolve(count: int, vocab_size: int, *, cut: bool = True) -> int:
    """A number of log-probabilities with -1 as the vocabulary."""
    return vocab_size if count == -1 else min(count, vocab_size) if cut else count
