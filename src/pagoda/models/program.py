"""A model is data: an architecture written as an ordered list of operations over named buffers.

Nothing here knows a device. A program is consumed by the executors (which run it), by the planner (which
counts its bytes and operations) and by `pagoda inspect` (which prints it).

Buffers hold float32 rows. A row belongs to a token of the step's batch, except in the buffers after
`SelectRows`, whose rows are the tokens whose results are wanted. Shapes below leave the rows out. A program
ends in `Logits` (it generates) or in `Result` (it gives hidden states, for embeddings and scores).
Weight names are those of Hugging Face checkpoints; a weight of shape (n, k) maps k inputs to n outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pagoda.models.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Embed:
    """out = weight[token]; weight (vocab, width of out)."""

    out: str
    weight: str


@dataclass(frozen=True, slots=True)
class EmbedPositions:
    """out = weight[position in its sequence]; weight (max_position_embeddings, width of out)."""

    out: str
    weight: str


@dataclass(frozen=True, slots=True)
class EmbedSegments:
    """out = weight[segment]: which text of a pair a token belongs to; weight (type_vocab_size, width)."""

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
class LayerNorm:
    """out = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias (arXiv:1607.06450); out may be x."""

    x: str
    out: str
    weight: str
    bias: str
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
    """Attention over the paged cache of `layer`: writes k and v of this step's tokens, then reads.

    q (heads * head_dim), k and v (kv_heads * head_dim), out as q. Query head h reads key head
    h // (heads // kv_heads). Scores are multiplied by `scale`. A token sees those up to itself; where not
    `causal`, all of its sequence, which must then be whole in one step.
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
    causal: bool = True


ActivationKind: TypeAlias = Literal["gelu", "gelu_tanh", "relu", "tanh"]


@dataclass(frozen=True, slots=True)
class Activation:
    """x = kind(x), in place. "gelu" is x times the normal distribution function, exact (arXiv:1606.08415);
    "gelu_tanh" the paper's approximation of it.
    """

    x: str
    kind: ActivationKind


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
    """out = the rows of x whose results are wanted, in the batch's order."""

    x: str
    out: str


@dataclass(frozen=True, slots=True)
class Logits:
    """The step's result: x @ weight.T; weight (vocab, width of x)."""

    x: str
    weight: str


@dataclass(frozen=True, slots=True)
class Result:
    """The step's result: the selected rows of x as they are."""

    x: str


Op: TypeAlias = (
    Embed
    | EmbedPositions
    | EmbedSegments
    | Norm
    | LayerNorm
    | HeadNorm
    | Linear
    | Rotary
    | Attention
    | Activation
    | GatedActivation
    | Add
    | SelectRows
    | Logits
    | Result
)


@dataclass(frozen=True, slots=True)
class Program:
    """An architecture with its sizes: what to run, in order."""

    config: ModelConfig
    buffers: dict[str, int]  #: name -> width in float32 values
    ops: tuple[Op, ...]
    inv_freq: npt.NDArray[np.float32] = field(repr=False)  #: (head_dim / 2,), radians a position; or empty
    rope_scale: float = 1.0

    @property
    def causal(self) -> bool:
        """Whether tokens see only what is before them, so that a sequence may come in pieces."""
        return all(op.causal for op in self.ops if isinstance(op, Attention))

    @property
    def result_width(self) -> int:
        """Values a row of the step's result: logits of the vocabulary, or hidden states."""
        last = self.ops[-1]
        return self.buffers[last.x] if isinstance(last, Result) else self.config.vocab_size

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every weight the program reads, in order of first use, with its shape."""
        shapes: dict[str, tuple[int, ...]] = {}
        for op in self.ops:
            match op:
                case Embed(out=out, weight=weight):
                    shapes[weight] = (self.config.vocab_size, self.buffers[out])
                case EmbedPositions(out=out, weight=weight):
                    shapes[weight] = (self.config.max_position_embeddings, self.buffers[out])
                case EmbedSegments(out=out, weight=weight):
                    shapes[weight] = (self.config.type_vocab_size, self.buffers[out])
                case Norm(x=x, weight=weight):
                    shapes[weight] = (self.buffers[x],)
                case LayerNorm(x=x, weight=weight, bias=bias):
                    shapes[weight] = shapes[bias] = (self.buffers[x],)
                case HeadNorm(weight=weight, head_dim=head_dim):
                    shapes[weight] = (head_dim,)
                case Linear(x=x, out=out, weight=weight, bias=bias):
                    shapes[weight] = (self.buffers[out], self.buffers[x])
                    if bias is not None:
                        shapes[bias] = (self.buffers[out],)
                case Logits(x=x, weight=weight):
                    shapes[weight] = (self.config.vocab_size, self.buffers[x])
                case _:
                    pass  # the others have no weights
        return shapes
