"""Step batches from plain lists: what a test wants to say is which tokens of which sequence run together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pagoda.execute.base import BLOCK_SIZE, Executor, StepBatch


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens `start` to `stop` of a sequence that lies in `blocks`; the ones before are in the cache."""

    tokens: Sequence[int]
    start: int
    stop: int
    blocks: Sequence[int]


def step_batch(pieces: Sequence[Piece], logits_rows: Sequence[int] | None = None) -> StepBatch:
    """One step with these pieces; logits after every token unless rows are given."""
    tokens = [token for piece in pieces for token in piece.tokens[piece.start : piece.stop]]
    tables = np.full((len(pieces), max(len(piece.blocks) for piece in pieces)), -1, np.int32)
    for table, piece in zip(tables, pieces, strict=True):
        table[: len(piece.blocks)] = piece.blocks
    return StepBatch(
        token_ids=_int32(tokens),
        query_lens=_int32([piece.stop - piece.start for piece in pieces]),
        context_lens=_int32([piece.stop for piece in pieces]),
        block_tables=tables,
        logits_rows=_int32(range(len(tokens)) if logits_rows is None else logits_rows),
    )


def whole_prompt(executor: Executor, tokens: Sequence[int], first_block: int = 0) -> npt.NDArray[np.float32]:
    """Logits after every token of a sequence that runs in one step."""
    blocks = range(first_block, first_block + -(-len(tokens) // BLOCK_SIZE))
    return executor.step(step_batch([Piece(tokens, 0, len(tokens), list(blocks))])).copy()


def _int32(values: Sequence[int] | range) -> npt.NDArray[np.int32]:
    return np.array(list(values), dtype=np.int32)
