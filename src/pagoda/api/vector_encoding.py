"""Vectors as responses hold them: lists of numbers, or bytes in base64."""

from __future__ import annotations

import base64
import sys

import numpy as np
import numpy.typing as npt

from pagoda.execute.rounding import round_to_bfloat16

Array = npt.NDArray[np.float32]


def encode_vector(
    vector: Array,
    encoding_format: str | None = None,
    embed_dtype: str | None = None,
    endianness: str | None = None,
) -> list[float] | list[list[float]] | str:
    """`vector`: one, or one a row. encoding_format "float" (default) or "base64"; embed_dtype "float32"
    (default), "float16" or "bfloat16"; endianness "little" (default), "big" or "native", of base64 alone.
    """
    if encoding_format == "base64":
        return base64.b64encode(_bytes(vector, embed_dtype, endianness)).decode("ascii")
    match embed_dtype:
        case "float16":
            vector = vector.astype(np.float16).astype(np.float32)
        case "bfloat16":
            vector = round_to_bfloat16(vector)
    numbers: list[float] | list[list[float]] = vector.tolist()
    return numbers


def _bytes(vector: Array, embed_dtype: str | None, endianness: str | None) -> bytes:
    values: npt.NDArray[np.generic] = vector
    match embed_dtype:
        case "float16":
            values = vector.astype(np.float16)
        case "bfloat16":
            values = (round_to_bfloat16(vector).view(np.uint32) >> 16).astype(np.uint16)
    order = sys.byteorder if endianness == "native" else endianness or "little"
    return values.astype(values.dtype.newbyteorder("<" if order == "little" else ">")).tobytes()
