"""What an engine must know of a model before it can make vectors with it."""

from __future__ import annotations

import msgspec

from pagoda.engine.config import EngineConfig, PoolingInfo
from pagoda.engine.sizes import ConfigurationError
from pagoda.execute.base import BLOCK_SIZE
from pagoda.models.program import Program
from pagoda.weights.checkpoint import Checkpoint
from pagoda.weights.sentence_transformers import METHODS, pooling_settings

_STEP_TOKENS = 512  #: tokens of a step that holds whole sequences, by default


def read_pooling(config: EngineConfig, checkpoint: Checkpoint, program: Program) -> PoolingInfo:
    """The model's own way of pooling, changed as `config` says.

    Raises ConfigurationError or CheckpointError.
    """
    found = pooling_settings(checkpoint.path, checkpoint.config)
    if config.pooling is not None and config.pooling.lower() not in METHODS:
        raise ConfigurationError(f"unknown pooling {config.pooling!r}; use {', '.join(METHODS)}.")
    return PoolingInfo(
        method=(config.pooling or found.method).lower(),
        normalize=found.normalize if config.normalize is None else config.normalize,
        size=program.result_width,
        labels=found.labels,
        activation=found.activation,
        pairs=checkpoint.config.type_vocab_size > 1,
    )


def trained_length(checkpoint: Checkpoint) -> int:
    """The longest text that the model was made for: a folder of sentence-transformers may say less than the
    model has positions.
    """
    most = checkpoint.config.max_position_embeddings
    return min(most, pooling_settings(checkpoint.path, checkpoint.config).max_length or most)


def for_whole_sequences(config: EngineConfig, longest: int, block_bytes: int) -> EngineConfig:
    """Sizes for a program whose sequences come whole: a step holds the longest one, and the cache lasts for
    one step. block_bytes: memory of a cache block over all layers.
    """
    tokens = max(config.max_num_batched_tokens or _STEP_TOKENS, config.max_model_len or longest)
    blocks = -(-tokens // BLOCK_SIZE) + min(config.max_num_seqs, tokens)
    return msgspec.structs.replace(
        config, max_num_batched_tokens=tokens, kv_cache_memory_bytes=blocks * block_bytes
    )
