"""Float weights to int8 or int4 while a model loads: 32 inputs of an output row share a float16 scale.

int8 is symmetric (d * q, q in -127..127). int4 stores an offset too (d * q + m, q in 0..15): measured on
normal, Laplace and Student-t values its root-mean-square error is 9, 14 and 19 % below that of the symmetric
form d * (q - 8), for 5.0 instead of 4.5 bits a weight. Scales are rounded so that no value is clipped: every
weight is off by at most half a step (d / 2), beside rounding in float32.

Embeddings and the last projection are int8 in both; vectors (norms, biases) and small tables stay as they
are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pagoda.models.config import ModelConfig
from pagoda.weights.checkpoint import Checkpoint, CheckpointError
from pagoda.weights.tensor import GROUP, Format, Tensor

QUANTIZATIONS = ("int8", "int4")
LARGEST = 65504.0  #: of float16, which scales and offsets are
#: int8 whatever is asked for
OUTER = ("model.embed_tokens.weight", "lm_head.weight", "embeddings.word_embeddings.weight")
#: of encoders, never quantised: small, and every token or score goes through them
KEPT = (
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
    "pooler.dense.weight",
    "classifier.weight",
)

_CHUNK = 1 << 17  # values quantised at a time: few enough to stay near the processor
_Groups: TypeAlias = npt.NDArray[np.float32]  # (rows, k / 32, 32)
_Halves: TypeAlias = npt.NDArray[np.float16]


def quantize_int8(tensor: Tensor) -> Tensor:
    """A tensor (n, k) as INT8, k a multiple of 32; CheckpointError for values beyond float16."""
    n, k = tensor.shape
    data = np.empty((n, k // GROUP, GROUP), np.int8)
    scales = np.empty((n, k // GROUP), np.float16)

    def quantize(rows: slice, groups: _Groups) -> None:
        largest = np.abs(groups).max(axis=-1)
        scales[rows] = d = _at_least(largest / np.float32(127))
        data[rows] = np.rint(groups * _reciprocal(d)[..., None])

    _by_chunks(tensor, quantize)
    return Tensor(tensor.name, Format.INT8, tensor.shape, data, scales)


def quantize_int4(tensor: Tensor) -> Tensor:
    """A tensor (n, k) as INT4_OFFSET, k a multiple of 32; CheckpointError for values beyond float16."""
    n, k = tensor.shape
    data = np.empty((n, k // GROUP, GROUP // 2), np.uint8)
    scales = np.empty((n, k // GROUP), np.float16)
    offsets = np.empty((n, k // GROUP), np.float16)

    def quantize(rows: slice, groups: _Groups) -> None:
        offsets[rows] = m = _at_most(groups.min(axis=-1))
        above = groups - m.astype(np.float32)[..., None]
        scales[rows] = d = _at_least(above.max(axis=-1) / np.float32(15))
        q = np.rint(above * _reciprocal(d)[..., None]).astype(np.uint8)
        data[rows] = q[..., : GROUP // 2] | q[..., GROUP // 2 :] << 4

    _by_chunks(tensor, quantize)
    return Tensor(tensor.name, Format.INT4_OFFSET, tensor.shape, data, scales, offsets)


class QuantizedCheckpoint:
    """A checkpoint whose matrices are quantised as they are read; what is as small already stays as it is."""

    def __init__(self, checkpoint: Checkpoint, quantization: str) -> None:
        if quantization not in QUANTIZATIONS:
            raise CheckpointError(
                f"unknown quantization {quantization!r}: choose {' or '.join(QUANTIZATIONS)}"
            )
        self._checkpoint = checkpoint
        self._quantization = quantization

    @property
    def path(self) -> Path:
        return self._checkpoint.path

    @property
    def config(self) -> ModelConfig:
        return self._checkpoint.config

    @property
    def generation_config(self) -> Mapping[str, Any]:
        return self._checkpoint.generation_config

    def names(self) -> list[str]:
        return self._checkpoint.names()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._checkpoint.shape(name)

    def format(self, name: str) -> Format:
        stored, shape = self._checkpoint.format(name), self._checkpoint.shape(name)
        if len(shape) != 2 or shape[1] % GROUP or name in KEPT:
            return stored
        if self._quantization == "int8" or name in OUTER:
            return stored if stored.quantised else Format.INT8
        return stored if stored is Format.INT4 else Format.INT4_OFFSET

    def tensor(self, name: str) -> Tensor:
        tensor, wanted = self._checkpoint.tensor(name), self.format(name)
        if tensor.format is wanted:
            return tensor
        return quantize_int8(tensor) if wanted is Format.INT8 else quantize_int4(tensor)

    def close(self) -> None:
        self._checkpoint.close()


def _by_chunks(tensor: Tensor, quantize: Callable[[slice, _Groups], None]) -> None:
    """Calls `quantize` with some rows of the tensor at a time, in float32 groups."""
    n, k = tensor.shape
    step = max(1, _CHUNK // k)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        values = _rows(tensor, rows).dequantize()
        if not np.abs(values).max() <= LARGEST:  # not true of NaN either
            raise CheckpointError(
                f"tensor {tensor.name!r} holds values that are NaN or beyond float16: "
                "fetch the model again, or load it without --quantization"
            )
        quantize(rows, values.reshape(-1, k // GROUP, GROUP))


def _rows(tensor: Tensor, rows: slice) -> Tensor:
    scales = None if tensor.scales is None else tensor.scales[rows]
    offsets = None if tensor.offsets is None else tensor.offsets[rows]
    shape = (rows.stop - rows.start, *tensor.shape[1:])
    return Tensor(tensor.name, tensor.format, shape, tensor.data[rows], scales, offsets)


def _at_least(values: npt.NDArray[np.float32]) -> _Halves:
    """The nearest float16 that is not below."""
    halves = values.astype(np.float16)
    with np.errstate(over="ignore"):  # above the largest float16, whose successor is never taken
        return np.where(halves < values, np.nextafter(halves, np.float16(np.inf)), halves)


def _at_most(values: npt.NDArray[np.float32]) -> _Halves:
    """The nearest float16 that is not above."""
    return -_at_least(-values)


def _reciprocal(scales: _Halves) -> npt.NDArray[np.float32]:
    """1 / scale, and 0 for the zero scale of a group of zeros."""
    wide = scales.astype(np.float32)
    return np.divide(np.float32(1), wide, out=np.zeros_like(wide), where=wide > 0)
