"""Choosing the sizes of an engine so that they fit the model and the machine, and saying what was chosen and
why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pagoda.engine.config import EngineConfig
from pagoda.execute.base import BLOCK_SIZE

_CONTEXTS = 4  #: full contexts the cache holds by default
_MIN_TOKENS = 65_536  #: or so many tokens, whichever is more: many short requests at a time
_MEMORY_SHARE = 0.5  #: of the memory left after the weights, at most this goes to the cache
_STEP_TOKENS = 512  #: tokens of a step by default: near the arithmetic peak, with small buffers


class ConfigurationError(ValueError):
    """Settings that cannot work; the message is one line for the user: what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class EngineSizes:
    """What was chosen; `notes` are sentences for the user where something is less than the model could do."""

    max_model_len: int
    num_blocks: int
    max_num_seqs: int
    max_num_batched_tokens: int
    notes: tuple[str, ...]


def choose_sizes(
    config: EngineConfig, model_len: int, block_bytes: int, weight_bytes: int, available: int | None
) -> EngineSizes:
    """Sizes for a model that was trained for `model_len` tokens.

    block_bytes: memory of a cache block over all layers. weight_bytes: memory that the weights will take.
    available: memory that may be taken for all; None when unknown. Raises ConfigurationError.
    """
    _check(config)
    notes: list[str] = []
    wanted_len = config.max_model_len or model_len
    if wanted_len > model_len:
        if not config.allow_long_max_model_len:
            raise ConfigurationError(
                f"max_model_len is {wanted_len:,}, but the model's own limit is {model_len:,} tokens; "
                f"use at most {model_len:,}."
            )
        notes.append(
            f"The context is longer than the {model_len:,} tokens that the model was made for; answers "
            "beyond them may be nonsense."
        )
    if config.num_gpu_blocks_override is not None:
        most_blocks, source = config.num_gpu_blocks_override, "num_gpu_blocks_override"
        cache = most_blocks * block_bytes
    elif config.kv_cache_memory_bytes is not None:
        cache, source = config.kv_cache_memory_bytes, "kv_cache_memory_bytes"
        most_blocks = cache // block_bytes
    elif available is not None:
        allowed = int(available * config.memory_share) if config.memory_share is not None else available
        if weight_bytes > allowed:
            raise ConfigurationError(
                f"The model's weights need {_size(weight_bytes)} of memory and {_size(allowed)} are "
                "available; free some memory, use a smaller model, or quantize it (--quantization int8 or "
                "int4)."
            )
        share = _MEMORY_SHARE if config.memory_share is None else 1.0
        cache, source = int((allowed - weight_bytes) * share), "the memory left after the weights"
        most_blocks = cache // block_bytes
    else:
        cache, source, most_blocks = 0, "", 1 << 30
    if most_blocks < 1:
        raise ConfigurationError(
            f"The cache needs at least {_size(block_bytes)} ({BLOCK_SIZE} tokens), but {source} gives "
            f"{_size(cache)}."
        )
    most_len = most_blocks * BLOCK_SIZE
    max_model_len = wanted_len
    if wanted_len > most_len:
        fits = f"{_size(cache)} from {source} hold {most_len:,} tokens"
        if config.max_model_len is not None:
            raise ConfigurationError(
                f"max_model_len {wanted_len:,} needs a cache of {_size(_blocks(wanted_len) * block_bytes)}, "
                f"but {fits}; lower max_model_len to {most_len:,} or give the cache more memory."
            )
        max_model_len = most_len
        notes.append(f"The context is {most_len:,} tokens instead of the model's {model_len:,}: {fits}.")
    if config.num_gpu_blocks_override is not None or config.kv_cache_memory_bytes is not None:
        num_blocks = most_blocks
    else:
        useful = max(_CONTEXTS * _blocks(max_model_len), _MIN_TOKENS // BLOCK_SIZE)
        useful = min(useful, config.max_num_seqs * _blocks(max_model_len))
        num_blocks = min(most_blocks, useful)
    step_tokens = config.max_num_batched_tokens or max(_STEP_TOKENS, config.max_num_seqs)
    max_num_seqs = min(config.max_num_seqs, step_tokens)
    if max_num_seqs < config.max_num_seqs:
        notes.append(
            f"At most {max_num_seqs} requests run at a time instead of {config.max_num_seqs}: every one adds "
            "a token to a step, and max_num_batched_tokens allows no more."
        )
    return EngineSizes(max_model_len, num_blocks, max_num_seqs, step_tokens, tuple(notes))


def within_limit(available: int | None, config: EngineConfig) -> int | None:
    """The memory that an engine may take: what is available, and no more than it was given."""
    limits = [limit for limit in (available, config.memory_limit_bytes) if limit is not None]
    return min(limits, default=None)


def least_bytes(config: EngineConfig, weight_bytes: int, context_bytes: int) -> int:
    """The memory that must be free for a model to have a whole context; see `choose_sizes`."""
    if config.kv_cache_memory_bytes is not None and config.num_gpu_blocks_override is None:
        return weight_bytes + config.kv_cache_memory_bytes
    if config.memory_share is not None:
        return math.ceil((weight_bytes + context_bytes) / config.memory_share)
    return weight_bytes + math.ceil(context_bytes / _MEMORY_SHARE)


def _check(config: EngineConfig) -> None:
    for name in (
        "max_model_len",
        "kv_cache_memory_bytes",
        "num_gpu_blocks_override",
        "max_num_seqs",
        "max_num_batched_tokens",
        "num_threads",
    ):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ConfigurationError(f"{name} must be at least 1, got {value}.")
    if config.memory_share is not None and not 0 < config.memory_share <= 1:
        raise ConfigurationError(
            f"gpu_memory_utilization must be above 0 and at most 1, got {config.memory_share}."
        )


def _blocks(tokens: int) -> int:
    return -(-tokens // BLOCK_SIZE)


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"
