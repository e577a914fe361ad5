"""Random weights in the sizes of a model: measuring speed needs no download."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pagoda.models import Purpose, build_program
from pagoda.models.config import ModelConfig
from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.tensor import Format, Tensor

_FORMATS = {"float32": Format.F32, "float16": Format.F16}


class DummyCheckpoint:
    """A checkpoint without files: weights are drawn when they are read, and are the same for the same seed.

    Matrices are normal with a deviation of k**-0.5 for k inputs, so that activations keep their size; norms
    are 1 and biases 0. dtype: as config.json names it; others than float32 and float16 mean bfloat16.
    """

    def __init__(
        self,
        path: Path,
        config: ModelConfig,
        generation: Mapping[str, Any],
        *,
        purpose: Purpose = "generate",
        dtype: str = "bfloat16",
        seed: int = 0,
    ) -> None:
        self._path = path
        self._config = config
        self._generation = generation
        self._shapes = build_program(config, purpose).weight_shapes()
        self._format = _FORMATS.get(dtype, Format.BF16)
        self._seed = seed

    @property
    def path(self) -> Path:
        return self._path

    @property
    def config(self) -> ModelConfig:
        return self._config

    @property
    def generation_config(self) -> Mapping[str, Any]:
        return self._generation

    def names(self) -> list[str]:
        return list(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        shape = self._shapes.get(name)
        if shape is None:
            raise CheckpointError(f"{self._path}: the model has no tensor {name!r}")
        return shape

    def format(self, name: str) -> Format:
        return self._format

    def tensor(self, name: str) -> Tensor:
        values = self._values(name, self.shape(name))
        data: npt.NDArray[np.generic] = values
        if self._format is Format.F16:
            data = values.astype(np.float16)
        elif self._format is Format.BF16:
            data = (values.view(np.uint32) >> 16).astype(np.uint16)
        return Tensor(name, self._format, self.shape(name), data)

    def close(self) -> None:
        return None

    def _values(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        if len(shape) == 1:
            return np.full(shape, float("norm" in name.lower() and name.endswith("weight")), dtype=np.float32)
        rng = np.random.default_rng([self._seed, zlib.crc32(name.encode())])
        values = rng.standard_normal(shape, dtype=np.float32)
        values *= np.float32(shape[-1] ** -0.5)
        return values
