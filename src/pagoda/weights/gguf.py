"""The GGUF container, read over a memory map: key-value metadata, then tensor infos, then tensor data.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Versions 2 and 3, little-endian.
Nothing in a file is believed: every count, length and offset is checked against the bytes that are there
before memory is taken for it, and whatever does not fit raises CheckpointError with one line.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from pagoda.weights.checkpoint import CheckpointError

LONG_ARRAY = 1024  #: numeric arrays longer than this stay NumPy arrays in the metadata
MAX_KEY_BYTES = 65535
MAX_DIMENSIONS = 4

_STRING = 8
_ARRAY = 9
_BOOL = 7
#: metadata value types that are one number: id -> little-endian NumPy type
_NUMBERS: dict[int, np.dtype[Any]] = {
    0: np.dtype("<u1"),
    1: np.dtype("<i1"),
    2: np.dtype("<u2"),
    3: np.dtype("<i2"),
    4: np.dtype("<u4"),
    5: np.dtype("<i4"),
    6: np.dtype("<f4"),
    _BOOL: np.dtype("<u1"),
    10: np.dtype("<u8"),
    11: np.dtype("<i8"),
    12: np.dtype("<f8"),
}
_SCALARS = {kind: struct.Struct("<" + dtype.char) for kind, dtype in _NUMBERS.items() if dtype.itemsize < 8}
_SCALARS |= {10: struct.Struct("<Q"), 11: struct.Struct("<q"), 12: struct.Struct("<d")}
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_HEADER = struct.Struct("<IQQ")  # version, tensors, key-value pairs


@dataclass(frozen=True, slots=True)
class TensorType:
    """How GGUF stores a kind of tensor: `block` values take `nbytes` bytes."""

    name: str
    block: int
    nbytes: int


#: every type in use, so that the size of a tensor is known even where its values are not supported
TENSOR_TYPES: Mapping[int, TensorType] = MappingProxyType(
    {
        0: TensorType("F32", 1, 4),
        1: TensorType("F16", 1, 2),
        2: TensorType("Q4_0", 32, 18),
        3: TensorType("Q4_1", 32, 20),
        6: TensorType("Q5_0", 32, 22),
        7: TensorType("Q5_1", 32, 24),
        8: TensorType("Q8_0", 32, 34),
        9: TensorType("Q8_1", 32, 40),
        10: TensorType("Q2_K", 256, 84),
        11: TensorType("Q3_K", 256, 110),
        12: TensorType("Q4_K", 256, 144),
        13: TensorType("Q5_K", 256, 176),
        14: TensorType("Q6_K", 256, 210),
        15: TensorType("Q8_K", 256, 292),
        16: TensorType("IQ2_XXS", 256, 66),
        17: TensorType("IQ2_XS", 256, 74),
        18: TensorType("IQ3_XXS", 256, 98),
        19: TensorType("IQ1_S", 256, 50),
        20: TensorType("IQ4_NL", 32, 18),
        21: TensorType("IQ3_S", 256, 110),
        22: TensorType("IQ2_S", 256, 82),
        23: TensorType("IQ4_XS", 256, 136),
        24: TensorType("I8", 1, 1),
        25: TensorType("I16", 1, 2),
        26: TensorType("I32", 1, 4),
        27: TensorType("I64", 1, 8),
        28: TensorType("F64", 1, 8),
        29: TensorType("IQ1_M", 256, 56),
        30: TensorType("BF16", 1, 2),
        34: TensorType("TQ1_0", 256, 54),
        35: TensorType("TQ2_0", 256, 66),
        39: TensorType("MXFP4", 32, 17),
    }
)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where a tensor lies. shape: rows first (the file's order reversed). offset: from the file's start."""

    name: str
    type: TensorType
    shape: tuple[int, ...]
    offset: int
    nbytes: int


class GGUFFile:
    """An opened GGUF file.

    metadata: strings, numbers and booleans as themselves; arrays as lists, except numeric arrays of more than
    LONG_ARRAY values, which are NumPy arrays. tensors: by name, in the file's order.
    """

    def __init__(
        self,
        path: Path,
        version: int,
        metadata: Mapping[str, Any],
        tensors: Mapping[str, TensorInfo],
        data: mmap.mmap,
    ) -> None:
        self.path = path
        self.version = version
        self.metadata = metadata
        self.tensors = tensors
        self._data: mmap.mmap | None = data

    @classmethod
    def open(cls, path: Path) -> GGUFFile:
        """Maps the file and reads its header. Raises CheckpointError for whatever is wrong with it."""
        data = _map(path)
        header = _Header(path, data)
        version, metadata, tensors = header.read()
        return cls(path, version, MappingProxyType(metadata), MappingProxyType(tensors), data)

    def bytes_of(self, info: TensorInfo) -> npt.NDArray[np.uint8]:
        """The tensor's bytes, a read-only view of the map. Raises CheckpointError after close()."""
        if self._data is None:
            raise CheckpointError(f"{self.path} has been closed; open it again to read {info.name}")
        return np.frombuffer(self._data, np.uint8, info.nbytes, info.offset)

    def close(self) -> None:
        """Lets go of the map: the memory goes when the last view of it does."""
        self._data = None


def _map(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise CheckpointError(
                    f"{path} is not a GGUF file (it does not begin with 'GGUF'): "
                    "choose a .gguf file, or fetch this one again if it should be one"
                )
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error


class _Header:
    """One pass over the header, with every step checked against the end of the file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.end = len(data)
        self.position = 4

    def read(self) -> tuple[int, dict[str, Any], dict[str, TensorInfo]]:
        start = self.take(_HEADER.size, "the header")
        version, tensor_count, pair_count = _HEADER.unpack_from(self.data, start)
        if version & 0xFFFF == 0:
            self.fail("is big-endian, and Pagoda reads little-endian files: use gguf-convert-endian on it")
        if version not in (2, 3):
            self.fail(f"is GGUF version {version}; versions 2 and 3 are supported: convert the model again")
        self.fits(pair_count, 13, "key-value pairs")
        metadata: dict[str, Any] = {}
        for _ in range(pair_count):
            key = self.key("a metadata key")
            if key in metadata:
                self.fail(f"has the metadata key {key!r} twice: the file is damaged; fetch it again")
            metadata[key] = self.value(key)
        self.fits(tensor_count, 32, "tensors")
        tensors = self.tensor_infos(tensor_count, _alignment(self, metadata))
        return version, metadata, tensors

    def fail(self, problem: str) -> NoReturn:
        raise CheckpointError(f"{self.path} {problem}")

    def take(self, size: int, what: str) -> int:
        """The position of the next `size` bytes, which are then behind us."""
        start = self.position
        if size > self.end - start:
            self.fail(
                f"is damaged or cut short: {what} needs {start + size:,} bytes but the file has "
                f"{self.end:,}; fetch it again"
            )
        self.position = start + size
        return start

    def fits(self, count: int, least_bytes: int, what: str) -> None:
        """Fails for a count of things, at least `least_bytes` each, that the rest of the file cannot hold."""
        if count * least_bytes > self.end - self.position:
            self.fail(
                f"is damaged or cut short: it announces {count:,} {what} but only "
                f"{self.end - self.position:,} bytes follow; fetch it again"
            )

    def number(self, kind: struct.Struct, what: str) -> Any:
        return kind.unpack_from(self.data, self.take(kind.size, what))[0]

    def string(self, what: str) -> str:
        size = self.number(_U64, what)
        start = self.take(size, what)
        try:
            return str(self.data[start : start + size], "utf-8")
        except UnicodeDecodeError:
            self.fail(f"is damaged: {what} is not UTF-8 text; fetch it again")

    def key(self, what: str) -> str:
        start = self.position
        key = self.string(what)
        if not 1 <= self.position - start - 8 <= MAX_KEY_BYTES:
            self.fail(f"is damaged: {what} does not have 1 to {MAX_KEY_BYTES} bytes; fetch it again")
        return key

    def value(self, key: str) -> Any:
        kind = self.number(_U32, key)
        if kind == _STRING:
            return self.string(key)
        if kind == _ARRAY:
            return self.array(key)
        if kind not in _SCALARS:
            self.fail(f"has a value of unknown type {kind} for {key!r}: it is damaged or too new")
        value = self.number(_SCALARS[kind], key)
        if kind == _BOOL:
            if value > 1:
                self.fail(f"is damaged: {key!r} is neither true nor false; fetch it again")
            return bool(value)
        return value

    def array(self, key: str) -> list[Any] | npt.NDArray[Any]:
        kind = self.number(_U32, key)
        count = self.number(_U64, key)
        if kind == _STRING:
            self.fits(count, 8, f"strings for {key!r}")
            return self.strings(key, count)
        if kind not in _NUMBERS:
            self.fail(f"has an array of unknown type {kind} for {key!r}: it is damaged or too new")
        dtype = _NUMBERS[kind]
        self.fits(count, dtype.itemsize, f"values for {key!r}")
        start = self.take(count * dtype.itemsize, key)
        # A copy, so that metadata outlives the map.
        values = np.frombuffer(self.data[start : self.position], dtype)
        if kind == _BOOL:
            if count and values.max() > 1:
                self.fail(f"is damaged: {key!r} holds values that are neither true nor false; fetch it again")
            values = values.astype(np.bool_)
        return values if count > LONG_ARRAY else list(values.tolist())

    def strings(self, key: str, count: int) -> list[str]:
        # A vocabulary has 10^5 strings, and each says where the next begins: a loop with the least in it.
        data, end, position = self.data, self.end, self.position
        length_at = _U64.unpack_from
        result: list[str] = []
        append = result.append
        try:
            for _ in range(count):
                start = position + 8
                position = start + length_at(data, position)[0]
                if position > end:
                    break
                append(str(data[start:position], "utf-8"))
        except UnicodeDecodeError:
            self.fail(f"is damaged: string {len(result)} of {key!r} is not UTF-8 text; fetch it again")
        except struct.error:
            position = end + 1
        if position > end:
            self.fail(
                f"is damaged or cut short: string {len(result):,} of {key!r} runs past the end of the file "
                f"({end:,} bytes); fetch it again"
            )
        self.position = position
        return result

    def tensor_infos(self, count: int, alignment: int) -> dict[str, TensorInfo]:
        found: list[tuple[str, tuple[int, ...], TensorType, int]] = []
        for _ in range(count):
            name = self.key("a tensor's name")
            dimensions = self.number(_U32, name)
            if not 1 <= dimensions <= MAX_DIMENSIONS:
                self.fail(f"is damaged: tensor {name!r} has {dimensions} dimensions; fetch it again")
            sizes = struct.unpack_from(f"<{dimensions}Q", self.data, self.take(8 * dimensions, name))
            kind = self.number(_U32, name)
            if kind not in TENSOR_TYPES:
                self.fail(f"stores tensor {name!r} in unknown type {kind}: it is damaged or too new")
            found.append((name, tuple(reversed(sizes)), TENSOR_TYPES[kind], self.number(_U64, name)))
        base = -(-self.position // alignment) * alignment
        tensors: dict[str, TensorInfo] = {}
        for name, shape, tensor_type, offset in found:
            if name in tensors:
                self.fail(f"has the tensor {name!r} twice: the file is damaged; fetch it again")
            tensors[name] = self.tensor_info(name, shape, tensor_type, offset, base, alignment)
        self.check_room(tensors)
        return tensors

    def tensor_info(
        self, name: str, shape: tuple[int, ...], kind: TensorType, offset: int, base: int, alignment: int
    ) -> TensorInfo:
        if 0 in shape or shape[-1] % kind.block or offset % alignment:
            self.fail(
                f"is damaged: tensor {name!r} ({kind.name}, shape {_shape(shape)}, offset {offset:,}) is "
                "malformed; fetch it again"
            )
        return TensorInfo(name, kind, shape, base + offset, math.prod(shape) // kind.block * kind.nbytes)

    def check_room(self, tensors: Mapping[str, TensorInfo]) -> None:
        """No tensor may reach past the end of the file or into another one."""
        needed = max((info.offset + info.nbytes for info in tensors.values()), default=0)
        if needed > self.end:
            self.fail(
                f"is {self.end:,} bytes but its header needs {needed:,}: "
                "the download was cut short; fetch it again"
            )
        previous: TensorInfo | None = None
        for info in sorted(tensors.values(), key=lambda info: info.offset):
            if previous is not None and info.offset < previous.offset + previous.nbytes:
                self.fail(f"is damaged: tensors {previous.name!r} and {info.name!r} overlap; fetch it again")
            previous = info


def _alignment(header: _Header, metadata: Mapping[str, Any]) -> int:
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 8 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        header.fail(f"is damaged: general.alignment is {str(alignment)[:60]!r}; fetch it again")
    return alignment


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
