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
    """The parameters with max_tokens filled in (the rest of the context where it is None). Raises
    PromptError.
    """
    if not token_ids:
        raise PromptError("prompt", "The prompt must not be empty: it has no tokens.")
    if min(token_ids) < 0 or max(token_ids) >= vocab_size:
        wrong = next(token for token in token_ids if not 0 <= token < vocab_size)
        raise PromptError(
            "prompt",
            f"Token id {wrong} is out of vocabulary: this model has token ids 0 to {vocab_size - 1}.",
        )
    for token in params.stop_token_ids:
        if not 0 <= token < vocab_size:
            raise PromptError(
                "stop_token_ids",
                f"stop_token_ids contains {token}, but this model has token ids 0 to {vocab_size - 1}.",
            )
    count = len(token_ids)
    rest = max_model_len - count
    wanted = params.max_tokens if params.max_tokens is not None else max(1, params.min_tokens)
    if wanted > rest:
        raise PromptError("input_tokens", context_message(max_model_len, wanted, count))
    return params if params.max_tokens is not None else msgspec.structs.replace(params, max_tokens=rest)


def check_text(text: str, params: SamplingParams, *, max_model_len: int) -> None:
    """Refuses a text that is too long for the context however it is cut into tokens, before work is spent on
    it.

    Raises PromptError.
    """
    at_least = -(-len(text) // _LONGEST_TOKEN)
    if at_least >= max_model_len:
        wanted = params.max_tokens if params.max_tokens is not None else max(1, params.min_tokens)
        raise PromptError("input_tokens", context_message(max_model_len, wanted, at_least, "at least "))


def context_message(max_model_len: int, wanted: int, count: int, bound: str = "") -> str:
    """The sentence by which clients recognise a prompt that does not fit; `bound` is "" or "at least "."""
    return (
        f"This model's maximum context length is {max_model_len} tokens. However, you requested {wanted} "
        f"output tokens and your prompt contains {bound}{count} input tokens, for a total of "
        f"{bound}{wanted + count} tokens. Please reduce the length of the input prompt or the number of "
        "requested output tokens."
    )
