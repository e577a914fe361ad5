"""A folder as on Hugging Face: config.json and one safetensors file, or several with an index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pagoda.models.config import ModelConfig
from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.hf_config import model_config, read_json
from pagoda.weights.safetensors import SafetensorsFile
from pagoda.weights.tensor import Format, Tensor

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


class FolderCheckpoint:
    """An opened folder. Raises CheckpointError for what cannot be used."""

    def __init__(
        self, path: Path, config: ModelConfig, generation: Mapping[str, Any], files: list[SafetensorsFile]
    ) -> None:
        self._path = path
        self._config = config
        self._generation = MappingProxyType(dict(generation))
        self._files = files
        self._homes: dict[str, SafetensorsFile] = {}
        for file in files:
            for name in file.tensors:
                if name in self._homes:
                    other = self._homes[name].path.name
                    raise CheckpointError(f"{path}: tensor {name!r} is in {other} and in {file.path.name}")
                self._homes[name] = file

    @classmethod
    def open(cls, path: Path) -> FolderCheckpoint:
        if not (path / "config.json").is_file():
            raise CheckpointError(f"{path} has no config.json: choose a model's folder or a .gguf file")
        generation_path = path / "generation_config.json"
        generation = read_json(generation_path) if generation_path.is_file() else {}
        config_path = path / "config.json"
        config = model_config(config_path, read_json(config_path), generation)
        return cls(path, config, generation, [SafetensorsFile.open(file) for file in _weight_files(path)])

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
        return list(self._homes)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._home(name).tensors[name].shape

    def format(self, name: str) -> Format:
        return self._home(name).format(name)

    def tensor(self, name: str) -> Tensor:
        return self._home(name).tensor(name)

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _home(self, name: str) -> SafetensorsFile:
        file = self._homes.get(name)
        if file is None:
            raise CheckpointError(f"{self._path} has no tensor {name!r}: it is incomplete; fetch it again")
        return file


def _weight_files(path: Path) -> list[Path]:
    if (path / SINGLE).is_file():
        return [path / SINGLE]
    index = path / INDEX
    if not index.is_file():
        if any(path.glob("*.bin")):
            raise CheckpointError(f"{path} holds PyTorch's .bin files: fetch the model's safetensors instead")
        raise CheckpointError(f"{path} has neither {SINGLE} nor {INDEX}: fetch the model again")
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map; fetch it again")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name:
            raise CheckpointError(f"{index} names the file {name!r} outside its folder; fetch it again")
        if not (path / name).is_file():
            raise CheckpointError(f"{path} lacks {name!r}, which its index names; fetch the model again")
    return [path / name for name in names]
