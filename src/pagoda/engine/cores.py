"""The core that a configuration asks for: one that generates text, or one that makes vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from pagoda.engine.config import EngineConfig
from pagoda.engine.core import EngineCore
from pagoda.engine.pooling import PoolingCore
from pagoda.engine.runner import purpose_of

Core: TypeAlias = EngineCore | PoolingCore


def make_core(config: EngineConfig, progress: Callable[[int, int], None] | None = None) -> Core:
    """Loads the model into its core. Raises ConfigurationError or CheckpointError."""
    make = PoolingCore if purpose_of(config) == "pooling" else EngineCore
    return make(config, progress)
