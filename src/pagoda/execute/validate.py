"""The contract of StepBatch as checks: one place for every executor."""

from __future__ import annotations

import numpy as np

from pagoda.execute.base import BLOCK_SIZE, StepBatch
from pagoda.models.program import EmbedPositions, Program


def validate_batch(batch: StepBatch, vocab_size: int, num_blocks: int, max_tokens: int) -> None:
    """Raises ValueError that says which rule of StepBatch the batch breaks."""
    for name, dimensions in (
        ("token_ids", 1),
        ("query_lens", 1),
        ("context_lens", 1),
        ("block_tables", 2),
        ("logits_rows", 1),
    ):
        array = getattr(batch, name)
        if array.dtype != np.int32 or array.ndim != dimensions or not array.flags.c_contiguous:
            raise ValueError(f"{name} must be a C-contiguous int32 array of {dimensions} dimension(s)")
    tokens, sequences = len(batch.token_ids), len(batch.query_lens)
    if not 1 <= tokens <= max_tokens:
        raise ValueError(f"a step carries 1 to {max_tokens} tokens, not {tokens}")
    if len(batch.context_lens) != sequences or len(batch.block_tables) != sequences:
        raise ValueError("query_lens, context_lens and block_tables differ in their number of sequences")
    if (batch.query_lens < 1).any() or int(batch.query_lens.sum(dtype=np.int64)) != tokens:
        raise ValueError("query_lens must be at least 1 each and add up to the number of tokens")
    if (batch.context_lens < batch.query_lens).any():
        raise ValueError("a context_len is shorter than its query_len")
    if batch.token_ids.min() < 0 or batch.token_ids.max() >= vocab_size:
        raise ValueError(f"token ids must be in 0..{vocab_size - 1}")
    rows = batch.logits_rows
    if len(rows) and (rows[0] < 0 or rows[-1] >= tokens or (np.diff(rows) <= 0).any()):
        raise ValueError(f"logits_rows must be ascending and in 0..{tokens - 1}")
    width = batch.block_tables.shape[1]
    blocks = -(-batch.context_lens.astype(np.int64) // BLOCK_SIZE)
    if blocks.max() > width:
        longest = batch.context_lens.max()
        raise ValueError(f"a sequence of {longest} tokens needs {blocks.max()} blocks, not {width}")
    used = batch.block_tables[np.arange(width) < blocks[:, None]]
    if used.min() < 0 or used.max() >= num_blocks:
        raise ValueError(f"block ids must be in 0..{num_blocks - 1}")


def validate_for(program: Program, batch: StepBatch) -> None:
    """What a program asks of a batch beyond `validate_batch`, which comes first. Raises ValueError."""
    if not program.causal and (batch.context_lens != batch.query_lens).any():
        raise ValueError("sequences must be whole: the program's attention is not causal")
    if any(isinstance(op, EmbedPositions) for op in program.ops):
        longest, limit = batch.context_lens.max(), program.config.max_position_embeddings
        if longest > limit:
            raise ValueError(f"a sequence of {longest} tokens is beyond the {limit} positions of the model")
    _check_segments(batch, program.config.type_vocab_size)


def _check_segments(batch: StepBatch, kinds: int) -> None:
    segments = batch.segments
    if segments is None:
        return
    if segments.dtype != np.int32 or segments.shape != batch.token_ids.shape:
        raise ValueError("segments must be int32 and one a token")
    if segments.min() < 0 or segments.max() >= max(kinds, 1):
        raise ValueError(f"segments must be in 0..{max(kinds, 1) - 1}")
