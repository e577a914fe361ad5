"""What the engine is told and what it tells: typed messages, encoded by msgspec on the way between processes.

The engine knows token ids alone; text, stop strings and templates are the business of its client. One request
is one sequence (n answers are n requests that share the prompt's cache).
"""

from __future__ import annotations

import msgspec

from pagoda.engine.config import EngineInfo, EngineStats
from pagoda.engine.params import SamplingParams


class ReasoningTokens(msgspec.Struct, frozen=True):
    """How a model's reasoning is marked in tokens.

    in_reasoning: the prompt leaves it open (or the model opens it itself), so that a grammar waits until
    end_token_ids have come one after another in the answer, and thinking_token_budget counts until then.
    end_token_ids must not be empty. optional: the answer reasons only if it begins with start_token_ids; a
    grammar holds from the beginning for one that does not.
    """

    start_token_ids: tuple[int, ...]
    end_token_ids: tuple[int, ...]
    in_reasoning: bool
    optional: bool = False


class PoolingTask(msgspec.Struct, frozen=True):
    """What a pooling engine makes of a prompt. `segments_from`: the first token of a pair's second text.

    every_token: the hidden states of all tokens instead of one vector. normalize: None means as the model
    says; True and False ask for vectors of length 1 and for vectors as they are. group: prompts of one group
    take turns with those of others.
    """

    every_token: bool = False
    normalize: bool | None = None
    segments_from: int | None = None
    group: str = ""


class AddRequest(msgspec.Struct, frozen=True, tag="add", kw_only=True):
    """A validated request. `generated` are tokens already sent to the client before a crash (replay).
    `bad_words_token_ids`: params.bad_words in tokens, each in every way it may be written.
    """

    request_id: str
    prompt_token_ids: list[int]
    params: SamplingParams
    eos_token_ids: tuple[int, ...] = ()
    priority: int = 0
    cache_salt: str = ""
    user: str = ""
    arrival_time: float = 0.0  #: seconds, time.monotonic of the machine
    generated: list[int] = []
    reasoning: ReasoningTokens | None = None
    bad_words_token_ids: list[list[int]] = []
    pooling: PoolingTask | None = None  #: for a pooling engine, which takes nothing else


class AbortRequest(msgspec.Struct, frozen=True, tag="abort"):
    """Frees the request within one step and confirms it with finish_reason "abort"; unknown ids are
    ignored.
    """

    request_id: str


class Shutdown(msgspec.Struct, frozen=True, tag="shutdown"):
    """Ends the engine process in order."""


class ResetPrefixCache(msgspec.Struct, frozen=True, tag="reset_prefix_cache"):
    """Forgets every cached block that no running request holds."""


EngineCommand = AddRequest | AbortRequest | Shutdown | ResetPrefixCache


class TokenLogprobs(msgspec.Struct, frozen=True, array_like=True):
    """Natural log-probabilities at one position: the token itself, its rank (1 is the top), the top ones in
    order, and others that were asked for by id as (token id, log-probability, rank).
    """

    token_id: int
    logprob: float
    rank: int
    top_token_ids: list[int]
    top_logprobs: list[float]
    others: list[tuple[int, float, int]] = []


class TokenDelta(msgspec.Struct, frozen=True, array_like=True):
    """News of one request after a step: usually one new token.

    finish_reason: None while running, else "stop" (an end or stop token, or a grammar that is complete),
    "length", "repetition" (repetition_detection), "abort" or "error". stop_reason: the stop_token_id that
    ended it, "repetition_detected", or None. error: one line, with "error"; refused: it is the request's own
    doing, a constraint that cannot be compiled or is too complex.
    num_cached_tokens: prompt tokens served from the prefix cache, in the first delta (else -1).
    scheduled_time: when the engine first took the request from the line, in the first delta (else 0); seconds
    on the machine's monotonic clock.
    ends_with_text: with "stop", the last token belongs to the answer's text: a grammar was complete with it.
    prompt_logprobs: in the first delta when asked for; None at index 0 (nothing precedes it).
    pooled: of a pooling request, its vector (or those of all tokens) as float32 in this machine's byte order.
    """

    request_id: str
    token_ids: list[int]
    finish_reason: str | None = None
    stop_reason: int | str | None = None
    logprobs: list[TokenLogprobs] | None = None
    num_cached_tokens: int = -1
    prompt_logprobs: list[TokenLogprobs | None] | None = None
    error: str | None = None
    scheduled_time: float = 0.0
    ends_with_text: bool = False
    refused: bool = False
    pooled: bytes | None = None


class StepOutput(msgspec.Struct, frozen=True, tag="step"):
    """All news of one step, with the statistics after it."""

    deltas: list[TokenDelta]
    stats: EngineStats


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded and requests are served."""

    info: EngineInfo


class LoadProgress(msgspec.Struct, frozen=True, tag="progress"):
    """How far loading has come: bytes done of all."""

    done: int
    total: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The engine cannot start or go on; `user_error` when the message is the user's to act on."""

    message: str
    user_error: bool = True


EngineReport = StepOutput | Ready | LoadProgress | Failed
