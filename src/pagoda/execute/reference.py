"""The reference executor: a program in plain NumPy float32, the oracle of every other executor.

It is written to be obviously right, not fast: weights are dequantised to float32 exactly, the cache is plain
float32 and attention looks at one token at a time.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pagoda.execute.base import BLOCK_SIZE, StepBatch
from pagoda.execute.rounding import round_to_bfloat16, round_to_int8
from pagoda.execute.validate import validate_batch, validate_for
from pagoda.models.program import (
    Activation,
    ActivationKind,
    Add,
    Attention,
    Embed,
    EmbedPositions,
    EmbedSegments,
    GatedActivation,
    HeadNorm,
    LayerNorm,
    Linear,
    Logits,
    Norm,
    Program,
    Result,
    Rotary,
    SelectRows,
)
from pagoda.models.rope import rope_table
from pagoda.weights.checkpoint import Checkpoint

Array: TypeAlias = npt.NDArray[np.float32]
Indices: TypeAlias = npt.NDArray[np.int64]

#: Rows of every matrix product. BLAS may sum in another order for another number of rows, and with some
#: numbers for another place among them; 8 rows give the same bits at every place with all of OpenBLAS's
#: kernels for x86 (0.3.31).
TILE = 8


class ReferenceExecutor:
    """Implements `Executor`; see base.py for the contract of a step.

    activation "float32" computes what the program says. "int8" rounds where the CPU kernels do: inputs of
    products with quantised weights to int8, queries, keys, values and attention weights to bfloat16. What it
    differs from "float32" by is what these formats cost.
    """

    def __init__(
        self,
        program: Program,
        checkpoint: Checkpoint,
        *,
        num_blocks: int,
        max_tokens: int,
        activation: Literal["float32", "int8"] = "float32",
    ) -> None:
        if num_blocks < 1 or max_tokens < 1:
            raise ValueError("num_blocks and max_tokens must be at least 1")
        self._program = program
        self._num_blocks = num_blocks
        self._max_tokens = max_tokens
        self._weights: dict[str, Array] = {}
        self._round_attention = activation == "int8"
        self._rounded: set[str] = set()  # weights whose inputs are rounded to int8
        for name in program.weight_shapes():
            tensor = checkpoint.tensor(name)
            self._weights[name] = tensor.dequantize()
            if activation == "int8" and tensor.format.quantised:
                self._rounded.add(name)
        config = program.config
        shape = (num_blocks * BLOCK_SIZE, config.num_key_value_heads, config.head_dim)
        self._keys = [np.zeros(shape, np.float32) for _ in range(config.num_hidden_layers)]
        self._values = [np.zeros(shape, np.float32) for _ in range(config.num_hidden_layers)]
        if len(program.inv_freq):
            self._cos, self._sin = rope_table(program.inv_freq, program.rope_scale, num_blocks * BLOCK_SIZE)

    @property
    def vocab_size(self) -> int:
        return self._program.config.vocab_size

    @property
    def num_blocks(self) -> int:
        return self._num_blocks

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    @property
    def weight_bytes(self) -> int:
        return sum(weight.nbytes for weight in self._weights.values())

    @property
    def cache_bytes(self) -> int:
        return sum(array.nbytes for array in (*self._keys, *self._values))

    def step(self, batch: StepBatch) -> Array:
        validate_batch(batch, self.vocab_size, self._num_blocks, self._max_tokens)
        validate_for(self._program, batch)
        slots = _slots(batch)
        spans = _spans(batch)
        positions = np.concatenate(spans)
        buffers: dict[str, Array] = {}
        for op in self._program.ops:
            match op:
                case Embed(out=out, weight=weight):
                    buffers[out] = self._weights[weight][batch.token_ids]
                case EmbedPositions(out=out, weight=weight):
                    buffers[out] = self._weights[weight][positions]
                case EmbedSegments(out=out, weight=weight):
                    segments = np.zeros_like(positions) if batch.segments is None else batch.segments
                    buffers[out] = self._weights[weight][segments]
                case LayerNorm(x=x, out=out, weight=weight, bias=bias, eps=eps):
                    buffers[out] = _layer_norm(buffers[x], self._weights[weight], self._weights[bias], eps)
                case Norm(x=x, out=out, weight=weight, eps=eps):
                    buffers[out] = _rms_norm(buffers[x], self._weights[weight], eps)
                case HeadNorm(x=x, weight=weight, eps=eps, heads=heads, head_dim=head_dim):
                    by_head = buffers[x].reshape(-1, heads, head_dim)
                    buffers[x] = _rms_norm(by_head, self._weights[weight], eps).reshape(-1, heads * head_dim)
                case Linear(x=x, out=out, weight=weight, bias=bias):
                    product = self._product(buffers[x], weight)
                    buffers[out] = product if bias is None else product + self._weights[bias]
                case Rotary(x=x, heads=heads, head_dim=head_dim):
                    by_head = buffers[x].reshape(-1, heads, head_dim)
                    rotated = _rotate(by_head, self._cos[positions], self._sin[positions])
                    buffers[x] = rotated.reshape(-1, heads * head_dim)
                case Attention():
                    buffers[op.out] = self._attention(op, buffers, slots, spans)
                case Activation(x=x, kind=kind):
                    buffers[x] = _activate(buffers[x], kind)
                case GatedActivation(gate=gate, up=up, out=out):
                    buffers[out] = _silu(buffers[gate]) * buffers[up]
                case Add(x=x, y=y):
                    buffers[x] = buffers[x] + buffers[y]
                case SelectRows(x=x, out=out):
                    buffers[out] = buffers[x][batch.logits_rows]
                case Logits(x=x, weight=weight):
                    return self._product(buffers[x], weight)
                case Result(x=x):
                    return buffers[x]
        raise ValueError("the program ends without a result")

    def _product(self, x: Array, weight: str) -> Array:
        """x @ weight.T, TILE rows at a time (the last rows padded with zeros)."""
        if weight in self._rounded:
            x = round_to_int8(x)
        matrix = self._weights[weight].T
        out = np.empty((len(x), matrix.shape[1]), np.float32)
        for start in range(0, len(x), TILE):
            rows = x[start : start + TILE]
            tile = np.zeros((TILE, x.shape[1]), np.float32)
            tile[: len(rows)] = rows
            out[start : start + TILE] = (tile @ matrix)[: len(rows)]
        return out

    def _attention(
        self, op: Attention, buffers: dict[str, Array], slots: list[Indices], spans: list[Indices]
    ) -> Array:
        cached_keys, cached_values = self._keys[op.layer], self._values[op.layer]
        written = np.concatenate([slot[span] for slot, span in zip(slots, spans, strict=True)])
        rounded = round_to_bfloat16 if self._round_attention else np.ascontiguousarray
        cached_keys[written] = rounded(buffers[op.k]).reshape(-1, op.kv_heads, op.head_dim)
        cached_values[written] = rounded(buffers[op.v]).reshape(-1, op.kv_heads, op.head_dim)
        queries = rounded(buffers[op.q]).reshape(-1, op.kv_heads, op.heads // op.kv_heads, op.head_dim)
        out = np.empty_like(queries)
        row = 0
        for slot, span in zip(slots, spans, strict=True):
            keys, values = cached_keys[slot], cached_values[slot]
            for position in span:
                seen = position + 1 if op.causal else len(slot)
                seen_keys, seen_values = keys[:seen], values[:seen]
                scores = queries[row] @ seen_keys.transpose(1, 2, 0) * np.float32(op.scale)
                powers = rounded(np.exp(scores - scores.max(axis=-1, keepdims=True)))
                out[row] = powers @ seen_values.transpose(1, 0, 2) / powers.sum(axis=-1, keepdims=True)
                row += 1
        return out.reshape(row, -1)


def _spans(batch: StepBatch) -> list[Indices]:
    """Of each sequence, the positions of its new tokens."""
    lengths = zip(batch.query_lens.tolist(), batch.context_lens.tolist(), strict=True)
    return [np.arange(total - new, total, dtype=np.int64) for new, total in lengths]


def _slots(batch: StepBatch) -> list[Indices]:
    """Of each sequence, where in the cache its positions 0 .. context_len - 1 are."""
    inside = np.arange(BLOCK_SIZE)
    tables = (batch.block_tables.astype(np.int64) * BLOCK_SIZE)[:, :, None] + inside
    return [table.reshape(-1)[:length] for table, length in zip(tables, batch.context_lens, strict=True)]


def _rms_norm(x: Array, weight: Array, eps: float) -> Array:
    mean_square = np.mean(x * x, axis=-1, keepdims=True)
    return np.asarray(x / np.sqrt(mean_square + np.float32(eps)) * weight)


def _layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    centred = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + np.float32(eps)) * weight + bias)


def _rotate(x: Array, cos: Array, sin: Array) -> Array:
    """x (tokens, heads, head_dim); cos and sin (tokens, head_dim / 2)."""
    first, second = np.split(x, 2, axis=-1)
    cos, sin = cos[:, None, :], sin[:, None, :]
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


def _silu(x: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(-x) of a very negative x is infinite; x / inf is the right zero
        return np.asarray(x / (np.float32(1) + np.exp(-x)))


def _activate(x: Array, kind: ActivationKind) -> Array:
    match kind:
        case "gelu":
            erf = np.fromiter(map(math.erf, (x * math.sqrt(0.5)).ravel().tolist()), np.float32, x.size)
            return np.asarray(x * (np.float32(1) + erf.reshape(x.shape)) * np.float32(0.5))
        case "gelu_tanh":
            inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
            return np.asarray(x * (np.float32(1) + np.tanh(inner)) * np.float32(0.5))
        case "relu":
            return np.maximum(x, np.float32(0))
        case "tanh":
            return np.tanh(x)
