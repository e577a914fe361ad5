"""What a model will need, told from its files without loading it: for a server that chooses what fits.

What reads the files (NumPy among it) is imported with the first look: a server with one model needs none.
"""

from __future__ import annotations

from dataclasses import dataclass

from pagoda.engine.config import EngineConfig


@dataclass(frozen=True, slots=True)
class Forecast:
    """max_model_len: the context it will have with this memory to itself, None where that is not known.
    least_bytes: memory without which it cannot have that context; more makes a larger cache. weight_bytes: of
    it, for the weights. parameters: values in its weights. runner: what it is for, None where not known.
    """

    max_model_len: int | None
    least_bytes: int
    weight_bytes: int = 0
    parameters: int | None = None
    architecture: str | None = None
    runner: str | None = None


class ForecastError(ValueError):
    """The model could not be loaded; the message is the line that loading would give.

    no_adapter: because its adapter is not there.
    """

    def __init__(self, message: str, *, no_adapter: bool = False) -> None:
        super().__init__(message)
        self.no_adapter = no_adapter


def forecast(config: EngineConfig, available: int | None) -> Forecast:
    """Reads the files' headers. available: memory that the model could have at most; None when unknown.

    Raises ForecastError.
    """
    from pagoda.engine.sizes import ConfigurationError
    from pagoda.weights.checkpoint import CheckpointError
    from pagoda.weights.lora import AdapterNotFoundError

    try:
        return _forecast(config, available)
    except (CheckpointError, ConfigurationError) as error:
        raise ForecastError(str(error), no_adapter=isinstance(error, AdapterNotFoundError)) from error
    except ValueError as error:
        raise ForecastError(f"{config.model_path} cannot be served: {error}") from error


def _forecast(config: EngineConfig, available: int | None) -> Forecast:
    if config.executor == "scripted":
        from pagoda.engine.scripted import load_scripted  # costs nothing

        info = load_scripted(config).info
        need = info.weight_bytes + info.cache_bytes
        return Forecast(info.max_model_len, need, architecture=info.architecture, runner=info.runner)
    from pagoda.engine.loading import count_weights, open_configured, plan_model
    from pagoda.engine.runner import purpose_of
    from pagoda.engine.sizes import least_bytes
    from pagoda.execute.base import BLOCK_SIZE

    purpose = purpose_of(config)
    checkpoint = open_configured(config, purpose)
    try:
        plan = plan_model(config, checkpoint, purpose, available)
        architecture = checkpoint.config.architecture
    finally:
        checkpoint.close()
    context = plan.sizes.max_model_len
    context_bytes = -(-context // BLOCK_SIZE) * plan.block_bytes
    return Forecast(
        context,
        least_bytes(config, plan.weight_bytes, context_bytes),
        plan.weight_bytes,
        count_weights(plan.program),
        architecture,
        purpose,
    )
