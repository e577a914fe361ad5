"""Low-rank adapters (LoRA, arXiv:2106.09685) merged into a checkpoint as its tensors are read.

W becomes W + scale * B @ A, computed in float32. What it is stored in then depends on the base: float formats
stay (rounded once, to nearest even), INT8 stays, and INT4 and INT4_OFFSET become INT8, since another 4-bit
rounding would lose more than most adapters change. Where the whole model is quantised while it is loaded,
that happens to the float32 sum. Tensors that the adapter does not touch are the base's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pagoda.models.config import ModelConfig
from pagoda.weights.checkpoint import Checkpoint, CheckpointError
from pagoda.weights.lora_config import WEIGHTS_FILE, AdapterNotFoundError, LoraConfig, read_lora_config
from pagoda.weights.quantize import quantize_int8
from pagoda.weights.safetensors import SafetensorsFile
from pagoda.weights.tensor import Format, Tensor

__all__ = ["AdapterNotFoundError", "LoraCheckpoint"]

_KEY = re.compile(r"base_model\.model\.(.+)\.lora_(?:(A|B)\.weight|embedding_(A|B))")
_PREFIXES = ("", "model.", "bert.")  #: that stand before or are left out of a base's names
_TIED = ("model.embed_tokens.weight", "lm_head.weight")


@dataclass(frozen=True, slots=True)
class _Pair:
    """The names of a module's two matrices in the adapter's file, and what their product is scaled by.

    transposed: of an embedding, whose product comes as (width, vocabulary).
    """

    a: str
    b: str
    scale: float
    transposed: bool


class LoraCheckpoint:
    """A base checkpoint with an adapter. exact: merged tensors are given as F32, for one who rounds them.

    Raises CheckpointError for an adapter that does not fit the base or cannot be merged.
    """

    def __init__(self, base: Checkpoint, folder: Path, *, exact: bool = False) -> None:
        self._base = base
        self._exact = exact
        config = read_lora_config(folder)
        self._file = _open_weights(folder)
        self._pairs = _find_pairs(folder, self._file, config, base)

    @property
    def path(self) -> Path:
        return self._base.path

    @property
    def config(self) -> ModelConfig:
        return self._base.config

    @property
    def generation_config(self) -> Mapping[str, Any]:
        return self._base.generation_config

    def names(self) -> list[str]:
        return self._base.names()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._base.shape(name)

    def format(self, name: str) -> Format:
        stored = self._base.format(name)
        if name not in self._pairs:
            return stored
        if self._exact:
            return Format.F32
        return Format.INT8 if stored.quantised else stored

    def tensor(self, name: str) -> Tensor:
        tensor, pair = self._base.tensor(name), self._pairs.get(name)
        if pair is None:
            return tensor
        change = self._values(pair.b) @ self._values(pair.a)
        change *= np.float32(pair.scale)
        merged = tensor.dequantize() + (change.T if pair.transposed else change)
        return _stored(Tensor(name, Format.F32, tensor.shape, merged), self.format(name))

    def close(self) -> None:
        self._file.close()
        self._base.close()

    def _values(self, name: str) -> npt.NDArray[np.float32]:
        return self._file.tensor(name).dequantize()


def _open_weights(folder: Path) -> SafetensorsFile:
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        if any(folder.glob("adapter_model.bin")):
            raise CheckpointError(f"{folder} holds PyTorch's adapter_model.bin: save it as {WEIGHTS_FILE}")
        raise AdapterNotFoundError(f"No adapter found for {folder}: it needs {WEIGHTS_FILE}")
    return SafetensorsFile.open(path)


def _find_pairs(
    folder: Path, file: SafetensorsFile, config: LoraConfig, base: Checkpoint
) -> dict[str, _Pair]:
    """By the name of the weight that a pair changes. Every tensor of the file must have a place."""
    known = set(base.names())
    halves: dict[str, dict[str, str]] = {}
    for key in file.tensors:
        match = _KEY.fullmatch(key)
        if match is None:
            raise CheckpointError(
                f"{file.path}: the tensor {key[:100]!r} is no part of a plain LoRA adapter; "
                "merge it into its base with PEFT and serve the result"
            )
        file.format(key)  # raises for a type that is not supported
        halves.setdefault(match[1], {})[match[2] or match[3]] = key
    if not halves:
        raise CheckpointError(f"{file.path} holds no tensors")
    pairs = {}
    for module, found in halves.items():
        if len(found) != 2:
            raise CheckpointError(f"{file.path}: {module} has only one of the two matrices A and B")
        weight = _weight_of(module, known)
        if weight is None:
            raise CheckpointError(f"{folder} adapts {module}, which the base has not: it is for another base")
        if weight in _TIED and base.config.tie_word_embeddings:
            raise CheckpointError(
                f"{folder} adapts {module}, which the base uses as embedding and as output; not supported"
            )
        pair = _Pair(found["A"], found["B"], config.scale_of(module), "embedding" in found["A"])
        _check_shapes(file, pair, config.rank_of(module), base.shape(weight))
        pairs[weight] = pair
    return pairs


def _weight_of(module: str, known: set[str]) -> str | None:
    for prefix in _PREFIXES:
        for name in (prefix + module, module.removeprefix(prefix)):
            if f"{name}.weight" in known:
                return f"{name}.weight"
    return None


def _check_shapes(file: SafetensorsFile, pair: _Pair, rank: int, shape: tuple[int, ...]) -> None:
    rows, columns = shape[::-1] if pair.transposed else shape
    for name, wanted in ((pair.a, (rank, columns)), (pair.b, (rows, rank))):
        found = file.tensors[name].shape
        if found != wanted:
            raise CheckpointError(
                f"{file.path}: {name} has shape {found}, but rank and base ask for {wanted}: "
                "it is for another base, or damaged"
            )


def _stored(tensor: Tensor, wanted: Format) -> Tensor:
    """A float32 tensor in another format, rounded to nearest even."""
    values = tensor.data.astype(np.float32, copy=False)
    match wanted:
        case Format.INT8:
            return quantize_int8(tensor)
        case Format.BF16:
            bits = values.view(np.uint32)
            rounded = (bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16
            return Tensor(tensor.name, wanted, tensor.shape, rounded.astype(np.uint16))
        case Format.F16:
            return Tensor(tensor.name, wanted, tensor.shape, values.astype(np.float16))
        case _:
            return tensor
