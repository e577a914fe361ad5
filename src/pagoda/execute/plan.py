"""What a program costs: bytes of its weights and of its cache, and arithmetic operations a token."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pagoda.models.program import Attention, Linear, Logits, Program
from pagoda.weights.tensor import Format


@dataclass(frozen=True, slots=True)
class Plan:
    """The costs of a program, by the formats its weights are stored in.

    parameters: weights, each counted once however often it is used. weight_bytes: bytes by format.
    streamed_bytes: weight bytes that a step of one token with logits reads, which at the limit of memory is
    what an answer's speed depends on. cache_values: numbers that a token adds to the cache over all layers.
    linear_flops: operations (two a multiply-add) of a token's matrix products, logits apart; logits_flops:
    those of a row of logits; attention_flops: those of a token for each token before it.
    """

    parameters: int
    weight_bytes: dict[Format, int]
    streamed_bytes: int
    cache_values: int
    linear_flops: int
    logits_flops: int
    attention_flops: int

    @property
    def total_weight_bytes(self) -> int:
        return sum(self.weight_bytes.values())

    def flops(self, context: int) -> int:
        """Operations of the token at the end of `context` tokens, with its logits."""
        return self.linear_flops + self.logits_flops + self.attention_flops * context


def plan(program: Program, format_of: Callable[[str], Format]) -> Plan:
    """format_of: a weight's format by its name, for example `checkpoint.format`."""
    shapes = program.weight_shapes()
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    nbytes = {name: format_of(name).nbytes(size) for name, size in sizes.items()}
    weight_bytes: dict[Format, int] = {}
    for name, size in nbytes.items():
        weight_bytes[format_of(name)] = weight_bytes.get(format_of(name), 0) + size
    streamed = cache = linear = logits = attention = 0
    for op in program.ops:
        match op:
            case Linear(weight=weight):
                streamed += nbytes[weight]
                linear += 2 * sizes[weight]
            case Logits(weight=weight):
                streamed += nbytes[weight]
                logits += 2 * sizes[weight]
            case Attention(heads=heads, kv_heads=kv_heads, head_dim=head_dim):
                cache += 2 * kv_heads * head_dim
                attention += 4 * heads * head_dim
            case _:
                pass  # norms and the like are a thousandth of it
    return Plan(sum(sizes.values()), weight_bytes, streamed, cache, linear, logits, attention)
