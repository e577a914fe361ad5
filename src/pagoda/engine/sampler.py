"""Choosing tokens: one call a step for the logits of all sequences.

The algorithm runs in C++ and is written down, step by step, in kernels/sample/sample.h: log-probabilities of
the raw logits, masks, bans and biases, penalties, greedy choice at temperature 0, else temperature, min_p,
top_k, top_p and a draw by inverse CDF. The draw depends on (seed, number of output tokens so far) only, so a
request gives the same tokens after preemption or a replay, and whatever else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pagoda._kernels import RowSampler, SampleRow
from pagoda.engine.bad_words import BadWords
from pagoda.engine.messages import TokenLogprobs
from pagoda.engine.params import SamplingParams

_SEED_MASK = (1 << 64) - 1


@dataclass(slots=True)
class SamplingRow:
    """What the sampler needs of one sequence. Made once a request and kept; the lists and `banned` change.

    output_token_ids: the live list, which grows as tokens are accepted. seed: of the request, modulo 2**64.
    banned: ids that must not come next (end and stop tokens while min_tokens is not reached).
    bad_words: words in tokens, None without any. state: the sampler's own.
    """

    params: SamplingParams
    prompt_token_ids: Sequence[int]
    output_token_ids: Sequence[int]
    seed: int
    banned: tuple[int, ...] = ()
    bad_words: BadWords | None = None
    state: SampleRow | None = None


@dataclass(slots=True)
class TokenMasks:
    """Which tokens may come next, for some rows of a step: bits (M, W) holds one bit a token, lowest first,
    and bits[i] is of row rows[i].
    """

    rows: list[int]
    bits: npt.NDArray[np.uint32]


@dataclass(slots=True)
class Sampled:
    """The token chosen for a row. With `error` (one line) the request has failed and token_id is -1."""

    token_id: int
    logprobs: TokenLogprobs | None = None
    error: str | None = None


class Sampler:
    """Samples from logits over `vocab_size` tokens. Not for use by two threads at once."""

    def __init__(self, vocab_size: int) -> None:
        self._vocab_size = vocab_size
        self._sampler = RowSampler()

    def sample(
        self,
        logits: npt.NDArray[np.float32],
        rows: Sequence[SamplingRow],
        masks: TokenMasks | None = None,
    ) -> list[Sampled]:
        """One token for each row of `logits` (R, vocab), which is not written.

        Masks go before bans: what is only banned may come where a mask leaves nothing else. A row whose
        logits are NaN or infinite, or that rules out every token, gets an error of its own.
        Raises ValueError when the shapes do not fit.
        """
        if logits.shape != (len(rows), self._vocab_size):
            raise ValueError(f"logits must have shape {(len(rows), self._vocab_size)}, got {logits.shape}")
        states = [self._current_state(row) for row in rows]
        positions = [len(row.output_token_ids) for row in rows]
        banned = [
            (index, self._banned_now(row))
            for index, row in enumerate(rows)
            if row.banned or row.bad_words is not None
        ]
        if masks is None:
            tokens, logprobs, errors = self._sampler.sample(_plain(logits), states, positions, banned)
        else:
            tokens, logprobs, errors = self._sampler.sample(
                _plain(logits), states, positions, banned, masks.rows, masks.bits
            )
        sampled = [Sampled(token) for token in tokens]
        for index, found in logprobs:
            sampled[index].logprobs = TokenLogprobs(tokens[index], *found)
        for index, message in errors:
            sampled[index].error = message
        return sampled

    def logprobs(self, logits_row: npt.NDArray[np.float32], token_id: int, count: int) -> TokenLogprobs:
        """The log-probability and rank of a token under logits (vocab,), and the `count` highest.

        Raises ValueError for a token out of range or logits that are not finite.
        """
        if logits_row.shape != (self._vocab_size,):
            raise ValueError(f"logits must have shape {(self._vocab_size,)}, got {logits_row.shape}")
        return TokenLogprobs(token_id, *self._sampler.logprobs(_plain(logits_row), token_id, count))

    def _banned_now(self, row: SamplingRow) -> list[int]:
        banned = [token for token in row.banned if 0 <= token < self._vocab_size]
        return banned + row.bad_words.after(row.output_token_ids) if row.bad_words else banned

    def _current_state(self, row: SamplingRow) -> SampleRow:
        """The row's C++ half, made on first use; with penalties it has counted every token so far."""
        params = row.params
        penalties = (
            params.repetition_penalty != 1 or params.frequency_penalty != 0 or params.presence_penalty != 0
        )
        state = row.state
        if state is None or (penalties and state.num_output > len(row.output_token_ids)):
            state = SampleRow(
                vocab=self._vocab_size,
                temperature=params.temperature,
                top_k=min(params.top_k, self._vocab_size),
                top_p=params.top_p,
                min_p=params.min_p,
                repetition_penalty=params.repetition_penalty,
                frequency_penalty=params.frequency_penalty,
                presence_penalty=params.presence_penalty,
                logprobs=-1 if params.logprobs is None else params.logprobs,
                seed=row.seed & _SEED_MASK,
            )
            self._set_rules(state, row)
            if params.repetition_penalty != 1:
                state.add_prompt(list(row.prompt_token_ids))
            row.state = state
        if penalties and state.num_output < len(row.output_token_ids):
            state.add_output(list(row.output_token_ids[state.num_output :]))
        return state

    def _set_rules(self, state: SampleRow, row: SamplingRow) -> None:
        """What holds for the whole request; ids outside the vocabulary are left out."""
        params = row.params
        if params.logit_bias:
            biases = {token: bias for token, bias in params.logit_bias.items() if self._has(token)}
            state.set_biases(list(biases), list(biases.values()))
        if params.allowed_token_ids is not None:
            state.set_allowed([token for token in params.allowed_token_ids if self._has(token)])
        if row.bad_words is not None:
            state.set_banned([token for token in row.bad_words.always if self._has(token)])
        if params.logprob_token_ids:
            state.set_logprob_ids([token for token in params.logprob_token_ids if self._has(token)])

    def _has(self, token: int) -> bool:
        return 0 <= token < self._vocab_size


def _plain(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(logits, dtype=np.float32)
