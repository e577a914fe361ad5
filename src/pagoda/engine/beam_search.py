"""Beam search: the most probable answers found by following several beginnings at once.

Each round asks for the log-probabilities of one more token of every beam. Scores are those of vLLM (and of
Transformers before it): the sum of the log-probabilities divided by the number of tokens, the prompt's
included, to the power of length_penalty.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from pagoda.engine.outputs import CompletionOutput, Logprob
from pagoda.engine.params import ParameterError, SamplingParams

if TYPE_CHECKING:
    from pagoda.text.tokenizer import Tokenizer

MAX_BEAM_WIDTH = 256
_NOT_WITH_BEAMS = (
    *("structured_outputs", "logit_bias", "allowed_token_ids", "bad_words"),
    *("thinking_token_budget", "repetition_detection"),
)
_STEEPEST = 10  # of penalties; powers of lengths beyond overflow


class BeamSearchParams(msgspec.Struct):
    """beam_width answers of up to max_tokens tokens. Raises ParameterError for values out of range.

    length_penalty above 1 favours long answers, below 1 short ones. ignore_eos: go on after an end token.
    temperature is accepted and changes nothing: the most probable by the model itself is what is sought.
    """

    beam_width: int
    max_tokens: int
    ignore_eos: bool = False
    temperature: float = 0.0
    length_penalty: float = 1.0
    include_stop_str_in_output: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.beam_width <= MAX_BEAM_WIDTH:
            raise ParameterError(
                "beam_width", f"beam_width must be from 1 to {MAX_BEAM_WIDTH}, got {self.beam_width}."
            )
        if self.max_tokens < 1:
            raise ParameterError("max_tokens", f"max_tokens must be at least 1, got {self.max_tokens}.")
        if not -_STEEPEST <= self.length_penalty <= _STEEPEST:
            raise ParameterError(
                "length_penalty", f"length_penalty must be between -{_STEEPEST} and {_STEEPEST}."
            )
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ParameterError("temperature", "temperature must be a number, 0 or greater.")


def beam_search_params(params: SamplingParams, length_penalty: float | None = None) -> BeamSearchParams:
    """The search that a request with use_beam_search asks for: n beams. Where they end: `beam_ends`.

    params.max_tokens must be set. Raises ParameterError for what a search cannot keep to.
    """
    for name in _NOT_WITH_BEAMS:
        if getattr(params, name) not in (None, (), {}):
            raise ParameterError(name, f"{name} cannot be used together with use_beam_search.")
    return BeamSearchParams(
        beam_width=params.n,
        max_tokens=params.max_tokens or 1,
        ignore_eos=params.ignore_eos,
        temperature=params.temperature,
        length_penalty=1.0 if length_penalty is None else length_penalty,
        include_stop_str_in_output=params.include_stop_str_in_output,
    )


@dataclass(frozen=True, slots=True)
class BeamEnds:
    """What ends a beam beside max_tokens: tokens (an end token, or one of a request's), and strings in its
    text. None of it does before min_tokens.
    """

    eos_token_ids: frozenset[int] = frozenset()
    stop_token_ids: frozenset[int] = frozenset()
    stop: tuple[str, ...] = ()
    min_tokens: int = 0

    def stops(self, token: int) -> bool:
        return token in self.eos_token_ids or token in self.stop_token_ids

    def find(self, text: str) -> str | None:
        """The stop string that comes first in a text."""
        found = [(text.index(each), each) for each in self.stop if each in text]
        return min(found)[1] if found else None


def beam_ends(params: SamplingParams, eos_token_ids: Iterable[int]) -> BeamEnds:
    """Where the beams of a request end."""
    return BeamEnds(
        frozenset(() if params.ignore_eos else eos_token_ids),
        frozenset(params.stop_token_ids),
        params.stop,
        params.min_tokens,
    )


@dataclass(slots=True)
class Beam:
    """A beginning of an answer, or a whole one. text: where a stop string ended it."""

    token_ids: list[int] = field(default_factory=list)
    cumulative_logprob: float = 0.0
    logprobs: list[dict[int, Logprob]] = field(default_factory=list)
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    text: str | None = None


@dataclass(slots=True)
class BeamSearchSequence:
    """One answer of `LLM.beam_search`. tokens and text hold the prompt too."""

    tokens: list[int]
    logprobs: list[dict[int, Logprob]]
    cum_logprob: float
    text: str | None = None
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    lora_request: None = None


@dataclass(slots=True)
class BeamSearchOutput:
    """What beam search found for one prompt, the best first."""

    sequences: list[BeamSearchSequence]


class BeamSearch:
    """The search for one prompt. `prompts` says what the next round is asked, `advance` takes its answers.

    tokenizer: reads the text of beams, where stop strings are to be found.
    """

    def __init__(
        self,
        prompt_token_ids: Sequence[int],
        params: BeamSearchParams,
        ends: BeamEnds,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        self.prompt_token_ids = list(prompt_token_ids)
        self.params = params
        self._ends = ends
        self._tokenizer = tokenizer
        self._running = [Beam()]
        self._whole: list[Beam] = []
        self._rounds = 0

    @property
    def sampling(self) -> SamplingParams:
        """How each prompt of a round is asked."""
        return SamplingParams(
            temperature=0,
            max_tokens=1,
            logprobs=2 * self.params.beam_width,  # enough, even if half of them end
            ignore_eos=True,
            detokenize=False,
        )

    def prompts(self) -> list[list[int]]:
        """The tokens of every beam, with the prompt's."""
        return [self.prompt_token_ids + beam.token_ids for beam in self._running]

    def advance(self, found: Sequence[Mapping[int, Logprob]]) -> None:
        """Takes the log-probabilities of the token after each of `prompts`, in their order."""
        longer: list[Beam] = []
        for beam, entry in zip(self._running, found, strict=True):
            for token, logprob in entry.items():
                if self._ends.stops(token) and len(beam.token_ids) < self._ends.min_tokens:
                    continue
                grown = Beam(
                    [*beam.token_ids, token],
                    beam.cumulative_logprob + logprob.logprob,
                    [*beam.logprobs, dict(entry)],
                )
                self._end(grown)
                (longer if grown.finish_reason is None else self._whole).append(grown)
        self._running = sorted(longer, key=self.score, reverse=True)[: self.params.beam_width]
        self._rounds += 1

    @property
    def finished(self) -> bool:
        """Whether no further round can change what `best` gives."""
        width = self.params.beam_width
        if self._rounds == self.params.max_tokens or not self._running:
            return True
        if len(self._whole) < width:
            return False
        worst = sorted(map(self.score, self._whole), reverse=True)[width - 1]
        return all(self._bound(beam) <= worst for beam in self._running)

    def best(self) -> list[Beam]:
        """The answers, the best first; those that did not come to an end have finish_reason "length"."""
        ended = [
            Beam(beam.token_ids, beam.cumulative_logprob, beam.logprobs, "length") for beam in self._running
        ]
        return sorted(self._whole + ended, key=self.score, reverse=True)[: self.params.beam_width]

    def _end(self, beam: Beam) -> None:
        """Says so where a beam ends with its last token."""
        token = beam.token_ids[-1]
        if self._ends.stops(token):
            beam.finish_reason = "stop"
            beam.stop_reason = None if token in self._ends.eos_token_ids else token
        elif self._ends.stop and self._tokenizer and len(beam.token_ids) >= self._ends.min_tokens:
            text = self._tokenizer.decode(beam.token_ids)
            found = self._ends.find(text)
            if found is not None:
                end = text.index(found) + (len(found) if self.params.include_stop_str_in_output else 0)
                beam.finish_reason, beam.stop_reason, beam.text = "stop", found, text[:end]

    def score(self, beam: Beam) -> float:
        ended = beam.finish_reason == "stop" and beam.text is None  # its last token is no text
        length = len(self.prompt_token_ids) + len(beam.token_ids) - ended
        return beam.cumulative_logprob / math.pow(max(1, length), self.params.length_penalty)

    def _bound(self, beam: Beam) -> float:
        """No answer that begins so has a better score: its sum only falls, its length is within these."""
        shortest = len(self.prompt_token_ids) + len(beam.token_ids)
        longest = len(self.prompt_token_ids) + self.params.max_tokens
        penalty = self.params.length_penalty
        return max(beam.cumulative_logprob / math.pow(length, penalty) for length in (shortest, longest))


def completion(search: BeamSearch, beam: Beam, index: int, tokenizer: Tokenizer) -> CompletionOutput:
    """A beam of `search.best()` as an answer of a request."""
    shown = beam.token_ids
    if beam.finish_reason == "stop" and not search.params.include_stop_str_in_output:
        shown = shown[:-1]
    return CompletionOutput(
        index,
        tokenizer.decode(shown) if beam.text is None else beam.text,
        beam.token_ids,
        beam.cumulative_logprob,
        beam.logprobs,
        beam.finish_reason,
        beam.stop_reason,
    )


def sequence(search: BeamSearch, beam: Beam, tokenizer: Tokenizer | None) -> BeamSearchSequence:
    """A beam of `search.best()` as a script gets it."""
    tokens = search.prompt_token_ids + beam.token_ids
    return BeamSearchSequence(
        tokens=tokens,
        logprobs=beam.logprobs,
        cum_logprob=beam.cumulative_logprob,
        text=None if tokenizer is None else tokenizer.decode(tokens, skip_special_tokens=False),
        finish_reason=beam.finish_reason,
        stop_reason=beam.stop_reason,
    )
