"""A model is data: an architecture written as an ordered list of operations over named buffers.

Nothing here knows a device. A program is consumed by the executors (which run it), by the planner (which
counts its bytes and operations) and by `pagoda inspect` (which prints it).

Buffers hold float32 rows. A row belongs to a token of the step's batch, except in the buffers after
`SelectRows`, whose rows are the tokens whose logits are wanted. Shapes below leave the rows out.
Weight names are those of Hugging Face checkpoints; a weight of shape (n, k) maps k inputs to n outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pagoda.models.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Embed:
    """out = weight[token]; weight (vocab, width of out)."""

    out: str
    weight: str


@dataclass(frozen=True, slots=True)
class Norm:
    """Root-mean-square norm (arXiv:1910.07467): out = x / sqrt(mean(x^2) + eps) * weight."""

    x: str
    out: str
    weight: str
    eps: float


@dataclass(frozen=True, slots=True)
class HeadNorm:
    """`Norm` of each head of x by itself, in place; weight (head_dim,)."""

    x: str
    weight: str
    eps: float
    heads: int
    head_dim: int


@dataclass(frozen=True, slots=True)
class Linear:
    """out = x @ weight.T (+ bias)."""

    x: str
    out: str
    weight: str
    bias: str | None = None


@dataclass(frozen=True, slots=True)
class Rotary:
    """Rotary position embedding (arXiv:2104.09864) of each head of x, in place.

    Pairs are (i, i + head_dim / 2); loaders permute the rows of files that pair neighbours. The angle is
    position * program.inv_freq[i]; cosine and sine are multiplied by program.rope_scale.
    """

    x: str
    heads: int
    head_dim: int


@dataclass(frozen=True, slots=True)
class Attention:
    """Causal attention over the paged cache of `layer`: writes k and v of this step's tokens, then reads.

    q (heads * head_dim), k and v (kv_heads * head_dim), out as q. Query head h reads key head
    h // (heads // kv_heads). Scores are multiplied by `scale`.
    """

    q: str
    k: str
    v: str
    out: str
    layer: int
    heads: int
    kv_heads: int
    head_dim: int
    scale: float


@dataclass(frozen=True, slots=True)
class GatedActivation:
    """out = silu(gate) * up (SwiGLU, arXiv:2002.05202)."""

    gate: str
    up: str
    out: str


@dataclass(frozen=True, slots=True)
class Add:
    """x = x + y, in place: the residual stream."""

    x: str
    y: str


@dataclass(frozen=True, slots=True)
class SelectRows:
    """out = the rows of x whose logits are wanted, in the batch's order."""

    x: str
    out: str


@dataclass(frozen=True, slots=True)
class Logits:
    """The step's result: x @ weight.T; weight (vocab, width of x)."""

    x: str
    weight: str


Op: TypeAlias = (
    Embed | Norm | HeadNorm | Linear | Rotary | Attention | GatedActivation | Add | SelectRows | Logits
)


@dataclass(frozen=True, slots=True)
class Program:
    """An architecture with its sizes: what to run, in order."""

    config: ModelConfig
    buffers: dict[str, int]  #: name -> width in float32 values
    ops: tuple[Op, ...]
    inv_freq: npt.NDArray[np.float32] = field(repr=False)  #: (head_dim / 2,), radians a position
    rope_scale: float = 1.0

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every weight the program reads, in order of first use, with its shape."""
        shapes: dict[str, tuple[int, ...]] = {}
        for op in self.ops:
            match op:
                case Embed(out=out, weight=weight):
                    shapes[weight] = (self.config.vocab_size, self.buffers[out])
                case Norm(x=x, weight=weight):
                    shapes[weight] = (self.buffers[x],)
                case HeadNorm(weight=weight, head_dim=head_dim):
                    shapes[weight] = (head_dim,)
                case Linear(x=x, out=out, weight=weight, bias=bias):
                    shapes[weight] = (self.buffers[out], self.buffers[x])
                    if bias is not None:
                        shapes[bias] = (self.buffers[out],)
                case Logits(x=x, weight=weight):
                    shapes[weight] = (self.config.vocab_size, self.buffers[x])
                case Rotary() | Attention() | GatedActivation() | Add() | SelectRows():
                    pass
        return shapes
