"""The contract of StepBatch as checks: one place for every executor."""

from __future__ import annotations

import numpy as np

from pagoda.execute.base import BLOCK_SIZE, StepBatch


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
