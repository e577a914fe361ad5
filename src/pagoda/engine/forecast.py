"""What a model will need, told from its files without loading it: for a server that chooses what fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pagoda.engine.config import EngineConfig
from pagoda.engine.loading import cache_block_bytes, estimate_weight_bytes
from pagoda.engine.sizes import ConfigurationError, choose_sizes, least_bytes, within_limit
from pagoda.execute.base import BLOCK_SIZE
from pagoda.models import build_program
from pagoda.weights import open_checkpoint
from pagoda.weights.checkpoint import CheckpointError


@dataclass(frozen=True, slots=True)
class Forecast:
    """max_model_len: the context it will have with this memory to itself, None where that is not known.
    least_bytes: memory without which it cannot have that context; more makes a larger cache.
    """

    max_model_len: int | None
    least_bytes: int


def forecast(config: EngineConfig, available: int | None) -> Forecast:
    """Reads the files' headers. available: memory that the model could have at most; None when unknown.

    Raises ConfigurationError or CheckpointError with one line, as loading the model would.
    """
    if config.executor == "scripted":
        from pagoda.engine.scripted import load_scripted  # costs nothing

        info = load_scripted(config).info
        return Forecast(info.max_model_len, info.weight_bytes + info.cache_bytes)
    checkpoint = open_checkpoint(Path(config.model_path), config.quantization)
    try:
        program = build_program(checkpoint.config)
        weights = estimate_weight_bytes(program, checkpoint.path, config)
        block = cache_block_bytes(program, config.executor)
        available = within_limit(available, config)
        sizes = choose_sizes(config, checkpoint.config.max_position_embeddings, block, weights, available)
    except (CheckpointError, ConfigurationError):
        raise
    except ValueError as error:
        raise ConfigurationError(f"{config.model_path} cannot be served: {error}") from error
    finally:
        checkpoint.close()
    context = -(-sizes.max_model_len // BLOCK_SIZE) * block
    least = least_bytes(config, weights, context)
    return Forecast(sizes.max_model_len, least)
