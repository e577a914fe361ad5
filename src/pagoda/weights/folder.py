"""A folder as on Hugging Face: config.json and one safetensors file, or several with an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pagoda.models.config import ModelConfig
from pagoda.weights.bert_config import POSITIONS, weight_name
from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.hf_config import model_config
from pagoda.weights.json_fields import read_json
from pagoda.weights.overrides import override_json
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
        self._homes: dict[str, tuple[SafetensorsFile, str]] = {}  # with the name in the file
        bare = all("model.embed_tokens.weight" not in file.tensors for file in files)
        for file in files:
            for stored in file.tensors:
                name = _program_name(stored, config.architecture, bare)
                if name in self._homes:
                    other = self._homes[name][0].path.name
                    raise CheckpointError(f"{path}: tensor {stored!r} is in {other} and in {file.path.name}")
                self._homes[name] = file, stored

    @classmethod
    def open(cls, path: Path, overrides: Mapping[str, Any] | None = None) -> FolderCheckpoint:
        """overrides: fields that replace those of config.json."""
        config, generation, _ = read_folder_config(path, overrides or {})
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
        file, stored = self._home(name)
        shape = file.tensors[stored].shape
        return (shape[0] - self._skipped(name), *shape[1:]) if shape else shape

    def format(self, name: str) -> Format:
        file, stored = self._home(name)
        return file.format(stored)

    def tensor(self, name: str) -> Tensor:
        file, stored = self._home(name)
        tensor = replace(file.tensor(stored), name=name)
        skipped = self._skipped(name)
        return replace(tensor, shape=self.shape(name), data=tensor.data[skipped:]) if skipped else tensor

    def close(self) -> None:
        for file in self._files:
            file.close()

    def _skipped(self, name: str) -> int:
        """Rows before the tensor's first one that is used."""
        return self._config.position_offset if name == POSITIONS else 0

    def _home(self, name: str) -> tuple[SafetensorsFile, str]:
        found = self._homes.get(name)
        if found is None:
            raise CheckpointError(f"{self._path} has no tensor {name!r}: it is incomplete; fetch it again")
        return found


def _program_name(stored: str, architecture: str, bare: bool) -> str:
    """A tensor's name in programs. `bare`: decoders were saved without the head, and without "model."."""
    if architecture == "bert":
        return weight_name(stored)
    return f"model.{stored}" if bare and not stored.startswith(("model.", "lm_head.")) else stored


def read_folder_config(
    path: Path, overrides: Mapping[str, Any]
) -> tuple[ModelConfig, dict[str, Any], dict[str, Any]]:
    """A folder's sizes, its generation_config.json ({} where there is none), and its config.json.

    Raises CheckpointError for what cannot be used.
    """
    config_path = path / "config.json"
    if not config_path.is_file():
        raise CheckpointError(f"{path} has no config.json: choose a model's folder or a .gguf file")
    generation_path = path / "generation_config.json"
    generation = read_json(generation_path) if generation_path.is_file() else {}
    content = override_json(read_json(config_path), overrides)
    return model_config(config_path, content, generation), generation, content


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
