"""Architectures as programs: a checkpoint's sizes in, a list of operations out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pagoda.models import llama, qwen2, qwen3
from pagoda.models.config import ModelConfig
from pagoda.models.program import Program

_BUILDERS: Mapping[str, Callable[[ModelConfig], Program]] = MappingProxyType(
    {"llama": llama.build, "qwen2": qwen2.build, "qwen3": qwen3.build}
)


def architectures() -> tuple[str, ...]:
    """The names that ModelConfig.architecture may have."""
    return tuple(_BUILDERS)


def build_program(config: ModelConfig) -> Program:
    """The architecture's program. Raises ValueError for an architecture that has none."""
    builder = _BUILDERS.get(config.architecture)
    if builder is None:
        raise ValueError(f"unknown architecture {config.architecture!r}; known: {', '.join(_BUILDERS)}")
    return builder(config)
