"""What a model will need, told from its files without loading it: for a server that chooses what fits."""

from __future__ import annotations

from dataclasses import dataclass

from pagoda.engine.config import EngineConfig
from pagoda.engine.loading import open_configured, plan_model
from pagoda.engine.runner import purpose_of
from pagoda.engine.sizes import ConfigurationError, least_bytes
from pagoda.execute.base import BLOCK_SIZE
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
    purpose = purpose_of(config)
    checkpoint = open_configured(config, purpose)
    try:
        plan = plan_model(config, checkpoint, purpose, available)
    except (CheckpointError, ConfigurationError):
        raise
    except ValueError as error:
        raise ConfigurationError(f"{config.model_path} cannot be served: {error}") from error
    finally:
        checkpoint.close()
    context = plan.sizes.max_model_len
    context_bytes = -(-context // BLOCK_SIZE) * plan.block_bytes
    return Forecast(context, least_bytes(config, plan.weight_bytes, context_bytes))
