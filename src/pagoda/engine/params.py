"""Sampling parameters: the names, defaults and limits of vLLM's `SamplingParams`, checked when made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

import msgspec

from pagoda.engine.structured_outputs import ParameterError, StructuredOutputsParams

__all__ = [
    "MAX_LOGPROBS",
    "ParameterError",
    "RepetitionDetectionParams",
    "RequestOutputKind",
    "SamplingParams",
    "StructuredOutputsParams",
]

_Made = TypeVar("_Made")

MAX_LOGPROBS = 20  #: the most alternatives a request may ask for a token, where a server says nothing else
MAX_LOGPROB_TOKEN_IDS = 128
MAX_BAD_WORDS = 1024
LARGEST = 2**63 - 1  #: of whole numbers, which travel as 64 bits
_STRONGEST_BIAS = 100.0  #: logit_bias beyond is cut to it, as OpenAI and vLLM do


class RequestOutputKind(Enum):
    """What an output holds: everything so far, what is new, or everything at the end. `AsyncLLM` takes
    `stream`, and `LLM` gives final outputs; the field is there for scripts that set it.
    """

    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


class RepetitionDetectionParams(msgspec.Struct, frozen=True, kw_only=True):
    """Ends an answer whose last tokens are one pattern of min_pattern_size to max_pattern_size tokens,
    min_count times in a row. max_pattern_size 0 turns it off. Raises ParameterError.
    """

    max_pattern_size: int = 0
    min_pattern_size: int = 0
    min_count: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.min_pattern_size <= self.max_pattern_size <= 4096:
            raise ParameterError(
                "repetition_detection",
                "repetition_detection needs 0 <= min_pattern_size <= max_pattern_size <= 4096, got "
                f"{self.min_pattern_size} and {self.max_pattern_size}.",
            )
        if self.max_pattern_size > 0 and self.min_count < 2:
            raise ParameterError(
                "repetition_detection",
                f"repetition_detection.min_count must be at least 2, got {self.min_count}.",
            )


class SamplingParams(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How tokens are chosen and when a request ends. Raises ParameterError for values out of range.

    temperature 0 is greedy. top_k 0 or -1 and top_p 1 mean no limit; min_p is a share of the top probability.
    repetition_penalty looks at prompt and answer, presence and frequency penalties at the answer alone. seed
    makes a request reproducible; None (or -1) draws a fresh one. logprobs: how many alternatives to report
    for each token (0: the chosen token alone; -1: the whole vocabulary); prompt_logprobs: the same for the
    prompt's tokens; logprob_token_ids: tokens that are reported besides, wherever they rank. They are those
    of the raw logits, before any constraint. How many are allowed is the server's to say:
    `engine.validation.check_logprobs`.

    logit_bias: added to the logits of these token ids, cut to -100..100. allowed_token_ids: nothing else may
    be chosen. bad_words: texts that are not written, neither at the start of a text nor after a space.
    structured_outputs: what the text must be; where a model reasons first, what comes after. Both the end
    tokens and stop_token_ids may end an answer only where it is complete. thinking_token_budget: tokens of
    reasoning after which its end is forced; None or -1 is no limit. truncate_prompt_tokens: keep that many
    of the prompt's tokens (-1: as many as fit), the last or with truncation_side "right" the first.

    Without effect here: spaces_between_special_tokens (text never gets spaces that tokens do not hold),
    output_kind and extra_args. guided_decoding and best_of are the spellings of vLLM before 0.11.
    """

    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    logprob_token_ids: tuple[int, ...] = ()
    detokenize: bool = True
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    include_stop_str_in_output: bool = False
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE
    structured_outputs: StructuredOutputsParams | None = None
    logit_bias: dict[int, float] | None = None
    allowed_token_ids: tuple[int, ...] | None = None
    bad_words: tuple[str, ...] = ()
    thinking_token_budget: int | None = None
    repetition_detection: RepetitionDetectionParams | None = None
    truncate_prompt_tokens: int | None = None
    truncation_side: str | None = None
    extra_args: dict[str, Any] | None = None
    guided_decoding: StructuredOutputsParams | None = None
    best_of: int | None = None

    def __post_init__(self) -> None:
        _settle(self, "stop", (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()))
        for name in ("stop_token_ids", "logprob_token_ids", "bad_words"):
            _settle(self, name, tuple(getattr(self, name) or ()))
        if self.allowed_token_ids is not None:
            _settle(self, "allowed_token_ids", tuple(self.allowed_token_ids))
        if self.logit_bias is not None:
            _settle(self, "logit_bias", _biases(self.logit_bias))
        if self.seed == -1:
            _settle(self, "seed", None)
        for name in ("logprobs", "prompt_logprobs"):
            if isinstance(getattr(self, name), bool):
                _settle(self, name, 1 if getattr(self, name) else None)
        for name, kind in (
            ("structured_outputs", StructuredOutputsParams),
            ("guided_decoding", StructuredOutputsParams),
            ("repetition_detection", RepetitionDetectionParams),
        ):
            _settle(self, name, _made(kind, name, getattr(self, name)))
        if self.guided_decoding is not None:
            _settle(self, "structured_outputs", self.structured_outputs or self.guided_decoding)
            _settle(self, "guided_decoding", None)
        self._check_choice()
        self._check_ends()
        self._check_reports()

    def _check_choice(self) -> None:
        for name in ("presence_penalty", "frequency_penalty"):
            if not -2.0 <= getattr(self, name) <= 2.0:
                self._fail(name, "between -2 and 2")
        if not (self.repetition_penalty > 0 and math.isfinite(self.repetition_penalty)):
            self._fail("repetition_penalty", "a number above 0")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            self._fail("temperature", "a number, 0 or greater")
        if not 0 < self.top_p <= 1:
            self._fail("top_p", "above 0 and at most 1")
        if not -1 <= self.top_k <= LARGEST:
            self._fail("top_k", "-1 or 0 (no limit) or a positive number")
        if not 0 <= self.min_p <= 1:
            self._fail("min_p", "between 0 and 1")
        if self.n < 1:
            self._fail("n", "at least 1")
        if self.n > 1 and self.temperature == 0:
            self._fail("n", "1 when temperature is 0, since greedy answers are all the same")
        if self.best_of not in (None, 1, self.n):
            self._fail("best_of", "the same as n, since answers are not ranked any more")
        if self.allowed_token_ids is not None and not self.allowed_token_ids:
            self._fail("allowed_token_ids", "a list that is not empty")
        if len(self.bad_words) > MAX_BAD_WORDS:
            raise ParameterError(
                "bad_words",
                f"bad_words holds {len(self.bad_words)} texts; at most {MAX_BAD_WORDS} are accepted.",
            )
        if any(not isinstance(text, str) or not text.strip() for text in self.bad_words):
            self._fail("bad_words", "strings that are not empty")

    def _check_ends(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 1:
            self._fail("max_tokens", "at least 1")
        if self.min_tokens < 0 or (self.max_tokens is not None and self.min_tokens > self.max_tokens):
            self._fail("min_tokens", "between 0 and max_tokens")
        if any(not isinstance(text, str) or not text for text in self.stop):
            self._fail("stop", "strings that are not empty")
        if self.stop and not self.detokenize:
            self._fail("stop", "empty when detokenize is false")
        if self.thinking_token_budget is not None and not -1 <= self.thinking_token_budget <= LARGEST:
            self._fail("thinking_token_budget", "0 or greater, or -1 for no limit")
        if self.truncate_prompt_tokens is not None and not (
            self.truncate_prompt_tokens == -1 or self.truncate_prompt_tokens >= 1
        ):
            self._fail("truncate_prompt_tokens", "at least 1, or -1 for as many as fit")
        if self.truncation_side not in (None, "left", "right"):
            self._fail("truncation_side", "'left' or 'right'")

    def _check_reports(self) -> None:
        for name in ("logprobs", "prompt_logprobs"):
            count = getattr(self, name)
            if count is not None and count < -1:
                self._fail(name, "0 or greater, or -1 for the whole vocabulary")
        if len(self.logprob_token_ids) > MAX_LOGPROB_TOKEN_IDS:
            self._fail("logprob_token_ids", f"at most {MAX_LOGPROB_TOKEN_IDS} token ids")

    def _fail(self, parameter: str, wanted: str) -> None:
        raise ParameterError(parameter, f"{parameter} must be {wanted}, got {getattr(self, parameter)!r}.")

    @property
    def wants_logprobs(self) -> bool:
        """Whether log-probabilities of generated tokens are reported."""
        return self.logprobs is not None or bool(self.logprob_token_ids)

    def clone(self) -> SamplingParams:
        """A copy to change."""
        return msgspec.structs.replace(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> SamplingParams:
        """The parameters among `values`; other keys are ignored."""
        return cls(**{name: values[name] for name in cls.__struct_fields__ if name in values})


def _settle(params: SamplingParams, name: str, value: object) -> None:
    """Sets a field of a struct that is not handed out yet."""
    msgspec.structs.force_setattr(params, name, value)


def _made(kind: type[_Made], name: str, value: object) -> _Made | None:
    """A structure that may be given as a mapping. Raises ParameterError."""
    if value is None or isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise ParameterError(name, f"{name} must be a {kind.__name__} or a mapping, got {value!r}.")
    try:
        return kind(**value)
    except TypeError as error:
        raise ParameterError(name, f"{name} cannot be used: {error}.") from None


def _biases(given: Mapping[Any, float]) -> dict[int, float]:
    """Token ids as numbers (JSON has them as text) with their bias. Raises ParameterError."""
    biases: dict[int, float] = {}
    for token, bias in given.items():
        try:
            number = int(token)
        except (TypeError, ValueError):
            raise ParameterError(
                "logit_bias", f"logit_bias needs token ids as keys, got {token!r}."
            ) from None
        if isinstance(bias, bool) or not isinstance(bias, int | float) or math.isnan(bias):
            raise ParameterError("logit_bias", f"logit_bias of {token} must be a number, got {bias!r}.")
        biases[number] = min(max(float(bias), -_STRONGEST_BIAS), _STRONGEST_BIAS)
    return biases
