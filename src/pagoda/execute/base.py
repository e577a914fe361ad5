"""The contract between the engine and whatever runs a program: one call a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

BLOCK_SIZE = 32  #: tokens a cache block holds


@dataclass(frozen=True, slots=True)
class StepBatch:
    """The tokens of one step, sequence after sequence. All arrays are int32 and C-contiguous.

    A program that is not causal wants sequences whole: query_lens and context_lens are then equal.

    token_ids (T,): the new tokens of all sequences, one sequence after another.
    query_lens (S,): how many of them belong to each sequence, at least 1.
    context_lens (S,): tokens of the sequence in the cache after this step; its new tokens are at positions
      context_len - query_len .. context_len - 1.
    block_tables (S, B): block ids of each sequence in order of position, padded with -1; block b of a
      sequence holds its positions b * BLOCK_SIZE onwards. Different sequences may share full blocks that this
      step does not write.
    logits_rows (L,): rows of token_ids whose results (logits, hidden states) are wanted, ascending.
    segments (T,): which text of a pair each token belongs to, for programs with segments; None means all 0.
    """

    token_ids: npt.NDArray[np.int32]
    query_lens: npt.NDArray[np.int32]
    context_lens: npt.NDArray[np.int32]
    block_tables: npt.NDArray[np.int32]
    logits_rows: npt.NDArray[np.int32]
    segments: npt.NDArray[np.int32] | None = None


class Executor(Protocol):
    """Runs a program on a device with a paged cache of its own."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def num_blocks(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """The most tokens a step may carry."""
        ...

    @property
    def weight_bytes(self) -> int: ...

    @property
    def cache_bytes(self) -> int: ...

    def step(self, batch: StepBatch) -> npt.NDArray[np.float32]:
        """Runs the program once; returns logits (L, vocab), or the hidden states of a program that ends in
        them (L, result_width); valid until the next step.

        The same sequence gives the same bits whatever else is in the batch and however its tokens are split
        into steps. Raises ValueError for a batch that breaks the contract (too many tokens, block ids or
        token ids out of range).
        """
        ...
