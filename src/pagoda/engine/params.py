"""Sampling parameters: the names, defaults and limits of vLLM's `SamplingParams`, checked when made."""

from __future__ import annotations

import math
from typing import Any

import msgspec

MAX_LOGPROBS = 20  #: the most alternatives a request may ask for a token


class ParameterError(ValueError):
    """A parameter that cannot be served; `parameter` names it."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True):
    """How tokens are chosen and when a request ends. Raises ParameterError for values out of range.

    temperature 0 is greedy. top_k 0 or -1 and top_p 1 mean no limit; min_p is a share of the top probability.
    repetition_penalty looks at prompt and answer, presence and frequency penalties at the answer alone. seed
    makes a request reproducible; None draws a fresh one. logprobs: how many alternatives to report for each
    token (0: the chosen token alone); prompt_logprobs: the same for the prompt's tokens.
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
    detokenize: bool = True
    skip_special_tokens: bool = True
    include_stop_str_in_output: bool = False

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        msgspec.structs.force_setattr(self, "stop", stop)
        msgspec.structs.force_setattr(self, "stop_token_ids", tuple(self.stop_token_ids or ()))
        self._check()

    def _check(self) -> None:
        def fail(parameter: str, wanted: str) -> None:
            raise ParameterError(
                parameter, f"{parameter} must be {wanted}, got {getattr(self, parameter)!r}."
            )

        for name in ("presence_penalty", "frequency_penalty"):
            if not -2.0 <= getattr(self, name) <= 2.0:
                fail(name, "between -2 and 2")
        if not (self.repetition_penalty > 0 and math.isfinite(self.repetition_penalty)):
            fail("repetition_penalty", "a number above 0")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            fail("temperature", "a number, 0 or greater")
        if not 0 < self.top_p <= 1:
            fail("top_p", "above 0 and at most 1")
        if self.top_k < -1:
            fail("top_k", "-1 or 0 (no limit) or a positive number")
        if not 0 <= self.min_p <= 1:
            fail("min_p", "between 0 and 1")
        if self.n < 1:
            fail("n", "at least 1")
        if self.n > 1 and self.temperature == 0:
            fail("n", "1 when temperature is 0, since greedy answers are all the same")
        if self.max_tokens is not None and self.max_tokens < 1:
            fail("max_tokens", "at least 1")
        if self.min_tokens < 0 or (self.max_tokens is not None and self.min_tokens > self.max_tokens):
            fail("min_tokens", "between 0 and max_tokens")
        for name in ("logprobs", "prompt_logprobs"):
            count = getattr(self, name)
            if count is not None and not 0 <= count <= MAX_LOGPROBS:
                fail(name, f"between 0 and {MAX_LOGPROBS}")
        if any(not isinstance(text, str) or not text for text in self.stop):
            fail("stop", "strings that are not empty")
        if self.stop and not self.detokenize:
            fail("stop", "empty when detokenize is false")

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> SamplingParams:
        """The parameters among `values`; other keys are ignored."""
        return cls(**{name: values[name] for name in cls.__struct_fields__ if name in values})
