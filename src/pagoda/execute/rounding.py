"""The values that narrow number formats stand for, in float32: what rounding alone does to a computation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pagoda.weights.tensor import GROUP


def round_to_int8(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rows in groups of 32 as scale * q with scale = max|x| / 127 and q rounded to nearest even."""
    groups = x.reshape(len(x), -1, GROUP)
    scale = np.abs(groups).max(axis=-1, keepdims=True) / np.float32(127)
    steps = np.divide(groups, scale, out=np.zeros_like(groups), where=scale > 0)
    return np.asarray(np.rint(steps) * scale).reshape(x.shape)


def round_to_bfloat16(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Finite values with 8 bits of mantissa, rounded to nearest even."""
    bits = np.ascontiguousarray(x).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + (bits >> 16 & 1)
    return (rounded & np.uint32(0xFFFF0000)).view(np.float32)
