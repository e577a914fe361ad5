"""A program as text for a person: one line an operation, layers that are alike only once."""

from __future__ import annotations

import dataclasses
import re
from itertools import groupby

from pagoda.models.program import Attention, Op, Program, Result, SelectRows

_LAYER = re.compile(r"(?:model\.layers|encoder\.layer)\.(\d+)\.")


def describe(program: Program) -> list[str]:
    """The lines: sizes first, then each operation with what it reads and writes and its weights' shapes."""
    config = program.config
    lines = [
        f"{config.architecture}: {config.num_hidden_layers} layers, width {config.hidden_size}, "
        f"{config.num_attention_heads} query heads and {config.num_key_value_heads} key heads "
        f"of {config.head_dim}, "
        f"inner width {config.intermediate_size}, vocabulary {config.vocab_size:,}, "
        f"context {config.max_position_embeddings:,}"
    ]
    shapes = program.weight_shapes()
    for same, run in groupby(_layers(program), key=lambda ops: tuple(map(_without_layer, ops))):
        repeats = list(run)
        if len(repeats) > 1:
            lines.append(f"{len(repeats)} times:")
        indent = "  " if len(repeats) > 1 else ""
        lines += [indent + _line(shown, op, shapes) for shown, op in zip(same, repeats[0], strict=True)]
    return lines


def _layers(program: Program) -> list[list[Op]]:
    """The operations, layer by layer; what is outside the layers is a piece of its own."""
    pieces: list[list[Op]] = []
    current: int | None = None
    for op in program.ops:
        layer = _layer(op, current)
        if not pieces or layer != current:
            pieces.append([])
        pieces[-1].append(op)
        current = layer
    return pieces


def _layer(op: Op, current: int | None) -> int | None:
    """The layer an operation belongs to: that of its weight, or else of the operation before it."""
    if isinstance(op, Attention):
        return op.layer
    if isinstance(op, SelectRows | Result):
        return None
    weight = getattr(op, "weight", None)
    if weight is None:
        return current
    match = _LAYER.match(weight)
    return int(match[1]) if match else None


def _without_layer(op: Op) -> Op:
    """The operation as it is in every layer: weights by their short names."""
    changes: dict[str, object] = {"layer": 0} if isinstance(op, Attention) else {}
    for name in ("weight", "bias"):
        value = getattr(op, name, None)
        if value is not None:
            changes[name] = _LAYER.sub("", value)
    return dataclasses.replace(op, **changes)  # type: ignore[arg-type]


def _line(shown: Op, op: Op, shapes: dict[str, tuple[int, ...]]) -> str:
    parts = []
    for field in dataclasses.fields(shown):
        value = getattr(shown, field.name)
        if value is None or value is True or field.name == "layer":
            continue
        if field.name in ("weight", "bias"):
            shape = " x ".join(map(str, shapes[getattr(op, field.name)]))
            parts.append(f"{value} ({shape})")
        else:
            parts.append(f"{field.name}={value:.4g}" if isinstance(value, float) else f"{field.name}={value}")
    return f"{type(op).__name__:<15} {'  '.join(parts)}"
