"""The one vocabulary of weight tensors: what every file format is read into and every executor packs.

Quantised tensors keep the file's own values: a float16 scale `d` (and, for INT4_OFFSET, a float16 offset `m`)
for each group of 32 consecutive inputs of an output row.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

GROUP = 32  #: consecutive inputs (k) that share a scale


class Format(enum.Enum):
    """How values are stored; the integers are those of the kernels (kernels/matmul/matmul.h)."""

    F32 = 0
    F16 = 1
    BF16 = 2  #: as uint16 bit patterns
    INT8 = 3  #: d * q, q in -128..127 (GGUF Q8_0)
    INT4 = 4  #: d * (q - 8), q in 0..15 (GGUF Q4_0)
    INT4_OFFSET = 5  #: d * q + m, q in 0..15 (GGUF Q4_1)

    @property
    def quantised(self) -> bool:
        return self in (Format.INT8, Format.INT4, Format.INT4_OFFSET)

    def nbytes(self, values: int) -> int:
        """Bytes that many values take, scales and offsets included (whole groups if quantised)."""
        match self:
            case Format.F32:
                return 4 * values
            case Format.F16 | Format.BF16:
                return 2 * values
            case Format.INT8:
                return values // GROUP * (GROUP + 2)
            case Format.INT4:
                return values // GROUP * (GROUP // 2 + 2)
            case Format.INT4_OFFSET:
                return values // GROUP * (GROUP // 2 + 4)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A named tensor of one or two dimensions. Arrays may be strided views of a memory-mapped file.

    data: F32 float32 (n, k); F16 float16 (n, k); BF16 uint16 (n, k); one-dimensional tensors (n,).
      INT8: int8 (n, k / 32, 32). INT4 and INT4_OFFSET: uint8 (n, k / 32, 16), byte j holding element j in its
      low and element j + 16 in its high nibble (GGUF's order).
    scales: quantised formats, float16 (n, k / 32). offsets: INT4_OFFSET, float16 (n, k / 32).
    """

    name: str
    format: Format
    shape: tuple[int, ...]
    data: npt.NDArray[np.generic]
    scales: npt.NDArray[np.float16] | None = None
    offsets: npt.NDArray[np.float16] | None = None

    def dequantize(self) -> npt.NDArray[np.float32]:
        """The exact values as float32, in `shape`."""
        match self.format:
            case Format.F32 | Format.F16:
                return np.ascontiguousarray(self.data, dtype=np.float32)
            case Format.BF16:
                bits = np.ascontiguousarray(self.data).astype(np.uint32) << 16
                return bits.view(np.float32)
            case Format.INT8:
                q = self.data.astype(np.float32)
            case Format.INT4 | Format.INT4_OFFSET:
                packed = np.asarray(self.data, dtype=np.uint8)
                q = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.float32)
                if self.format is Format.INT4:
                    q -= 8
        if self.scales is None:
            raise ValueError(f"{self.name}: a {self.format.name} tensor needs scales")
        values = q * self.scales.astype(np.float32)[..., None]
        if self.offsets is not None:
            values += self.offsets.astype(np.float32)[..., None]
        return values.reshape(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes the values take in this format, scales and offsets included."""
        parts = (self.data, self.scales, self.offsets)
        return sum(part.nbytes for part in parts if part is not None)
