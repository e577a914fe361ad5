"""Safetensors files, read over a memory map. Format: https://huggingface.co/docs/safetensors.

The safetensors library has no view of bfloat16 for NumPy, and the format is a JSON header before raw tensors:
it is read here, with every length and offset checked against the file.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.tensor import Format, Tensor

MAX_HEADER_BYTES = 100_000_000  #: the format's own limit
_FORMATS = {"F32": Format.F32, "F16": Format.F16, "BF16": Format.BF16}
_VIEWS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_BITS = {"F4": 4, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16}
_BITS |= {"F16": 16, "BF16": 16, "F32": 32, "I32": 32, "U32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64}


@dataclass(frozen=True, slots=True)
class SafetensorsInfo:
    """Where a tensor lies: `offset` from the file's start, in bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


class SafetensorsFile:
    """One opened file. tensors: by name, in the header's order."""

    def __init__(self, path: Path, tensors: Mapping[str, SafetensorsInfo], data: mmap.mmap) -> None:
        self.path = path
        self.tensors = tensors
        self._data: mmap.mmap | None = data

    @classmethod
    def open(cls, path: Path) -> SafetensorsFile:
        """Maps the file and reads its header. Raises CheckpointError for whatever is wrong with it."""
        try:
            with path.open("rb") as file:
                start = file.read(8)
                if len(start) < 8:
                    _fail(path, "is too short for a safetensors file; fetch it again")
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
        header_bytes = int.from_bytes(start, "little")
        if header_bytes > MAX_HEADER_BYTES:
            _fail(path, "is not a safetensors file, or is damaged: fetch it again")
        if header_bytes > len(data) - 8:
            _fail(
                path,
                f"is {len(data):,} bytes but its header alone needs {8 + header_bytes:,}; fetch it again",
            )
        header = _json_object(path, data[8 : 8 + header_bytes])
        return cls(path, MappingProxyType(_infos(path, header, 8 + header_bytes, len(data))), data)

    def format(self, name: str) -> Format:
        """Raises CheckpointError for a type that is not supported."""
        dtype = self.tensors[name].dtype
        if dtype not in _FORMATS:
            _fail(self.path, f"stores tensor {name!r} as {dtype}; Pagoda reads {', '.join(_FORMATS)}")
        return _FORMATS[dtype]

    def tensor(self, name: str) -> Tensor:
        """A view of the map. Raises CheckpointError for a type that is not supported and after close()."""
        info = self.tensors[name]
        if self._data is None:
            _fail(self.path, f"has been closed; open it again to read {name}")
        kind = self.format(name)
        values = np.frombuffer(self._data, _VIEWS[info.dtype], math.prod(info.shape), info.offset)
        return Tensor(name, kind, info.shape, values.reshape(info.shape))

    def close(self) -> None:
        """Lets go of the map: the memory goes when the last view of it does."""
        self._data = None


def _fail(path: Path, problem: str) -> NoReturn:
    raise CheckpointError(f"{path} {problem}")


def _json_object(path: Path, text: bytes) -> dict[str, Any]:
    def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            _fail(path, "is damaged: its header names something twice; fetch it again")
        return found

    try:
        header = json.loads(text, object_pairs_hook=without_doubles)
    except CheckpointError:
        raise
    except (ValueError, RecursionError):
        _fail(path, "is not a safetensors file, or is damaged: its header is not JSON; fetch it again")
    if not isinstance(header, dict):
        _fail(path, "is not a safetensors file, or is damaged: its header is not an object; fetch it again")
    return header


def _infos(path: Path, header: dict[str, Any], base: int, end: int) -> dict[str, SafetensorsInfo]:
    infos: dict[str, SafetensorsInfo] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            infos[name] = _info(path, name, entry, base)
    reached = base
    for info in sorted(infos.values(), key=lambda info: info.offset):
        if info.offset != reached:
            _fail(path, f"is damaged: tensor {info.name!r} does not follow the one before it; fetch it again")
        reached = info.offset + info.nbytes
    if reached > end:
        _fail(
            path,
            f"is {end:,} bytes but its header needs {reached:,}: the download was cut short; fetch it again",
        )
    return infos


def _info(path: Path, name: str, entry: Any, base: int) -> SafetensorsInfo:
    match entry:
        case {"dtype": str(dtype), "shape": [*sizes], "data_offsets": [int(start), int(stop)]} if (
            dtype in _BITS
        ):
            if all(type(size) is int and size >= 0 for size in sizes) and 0 <= start <= stop:
                nbytes = math.prod(sizes) * _BITS[dtype] // 8
                if nbytes == stop - start:
                    return SafetensorsInfo(name, dtype, tuple(sizes), base + start, nbytes)
    _fail(path, f"is damaged: its header describes tensor {name!r} wrongly; fetch it again")
