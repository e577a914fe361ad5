"""Architectures as programs: a checkpoint's sizes in, a list of operations out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from pagoda.models import bert, llama, qwen2, qwen3
from pagoda.models.config import ModelConfig
from pagoda.models.program import Logits, Program, Result

#: what a program is for: next tokens, or hidden states (embeddings and scores)
Purpose: TypeAlias = Literal["generate", "pooling"]

_BUILDERS: Mapping[str, Callable[[ModelConfig], Program]] = MappingProxyType(
    {"llama": llama.build, "qwen2": qwen2.build, "qwen3": qwen3.build, "bert": bert.build}
)
ENCODERS = ("bert",)  #: architectures that cannot generate


def architectures() -> tuple[str, ...]:
    """The names that ModelConfig.architecture may have."""
    return tuple(_BUILDERS)


def build_program(config: ModelConfig, purpose: Purpose = "generate") -> Program:
    """The architecture's program; an encoder has but one. With "pooling" a decoder ends in the hidden states
    that its logits would come from. Raises ValueError for an architecture that has none.
    """
    builder = _BUILDERS.get(config.architecture)
    if builder is None:
        raise ValueError(f"unknown architecture {config.architecture!r}; known: {', '.join(_BUILDERS)}")
    program = builder(config)
    last = program.ops[-1]
    if purpose == "pooling" and isinstance(last, Logits):
        return replace(program, ops=(*program.ops[:-1], Result(last.x)))
    return program
