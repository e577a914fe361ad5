"""Turns a step's work into the arrays an executor reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pagoda.engine.request import Request
from pagoda.engine.scheduler import Work
from pagoda.execute.base import BLOCK_SIZE, StepBatch


@dataclass(slots=True)
class BuiltBatch:
    """A batch and what its rows of logits are for, in order of the rows.

    sampled: requests that get a new token, with their row of logits. prompts: (request, first row, rows) of
    those that want log-probabilities of prompt tokens: row i belongs to the token after the i-th of the
    chunk.
    """

    batch: StepBatch
    sampled: list[tuple[Request, int]]
    prompts: list[tuple[Request, int, int]]


class BatchBuilder:
    """Keeps the block tables of running requests in one array, to which blocks are only appended."""

    def __init__(self, max_num_seqs: int, max_model_len: int) -> None:
        max_blocks = -(-max_model_len // BLOCK_SIZE)
        self._table = np.full((max_num_seqs, max_blocks), -1, np.int32)
        self._filled = [0] * max_num_seqs  # blocks of each row that are written

    def build(self, work: Sequence[Work]) -> BuiltBatch:
        """The batch of a step, sequences in the order of `work`."""
        tokens: list[int] = []
        query_lens: list[int] = []
        context_lens: list[int] = []
        slots: list[int] = []
        rows: list[int] = []
        sampled: list[tuple[Request, int]] = []
        prompts: list[tuple[Request, int, int]] = []
        width = 1
        for item in work:
            request, count = item.request, item.num_tokens
            start, end = request.num_computed, request.num_computed + count
            if count == 1:
                tokens.append(request.token_ids[start])
            else:
                tokens += request.token_ids[start:end]
            query_lens.append(count)
            context_lens.append(end)
            slots.append(request.slot)
            self._write_row(request)
            width = max(width, len(request.block_ids))
            if request.wants_prompt_logprobs:
                # The last prompt token's logits give the first new token, all others the next prompt token.
                useful = min(end, request.num_prompt - 1) - start
                prompts.append((request, len(rows), useful))
                rows += range(len(tokens) - count, len(tokens) - count + useful)
            if end == request.num_known:
                sampled.append((request, len(rows)))
                rows.append(len(tokens) - 1)
        table = np.ascontiguousarray(self._table[slots, :width])
        batch = StepBatch(
            token_ids=np.array(tokens, np.int32),
            query_lens=np.array(query_lens, np.int32),
            context_lens=np.array(context_lens, np.int32),
            block_tables=table,
            logits_rows=np.array(rows, np.int32),
        )
        return BuiltBatch(batch, sampled, prompts)

    def _write_row(self, request: Request) -> None:
        slot, blocks, done = request.slot, request.block_ids, request.num_tabled
        if done == len(blocks):
            return
        if done == 0:
            self._table[slot, : self._filled[slot]] = -1
        self._table[slot, done : len(blocks)] = blocks[done:]
        request.num_tabled = self._filled[slot] = len(blocks)
