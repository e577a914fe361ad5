"""What every checkpoint reader offers, whatever the files: a GGUF file or a folder of safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pagoda.models.config import ModelConfig
from pagoda.weights.tensor import Tensor


class CheckpointError(ValueError):
    """The files cannot be used; the message is one line for the user: what is wrong, where, and what to do."""


class Checkpoint(Protocol):
    """An opened checkpoint. Tensors carry Hugging Face's names and are views of mapped files until closed."""

    @property
    def path(self) -> Path: ...

    @property
    def config(self) -> ModelConfig: ...

    @property
    def generation_config(self) -> Mapping[str, Any]:
        """Hugging Face's generation_config.json, or {} where there is none."""
        ...

    def names(self) -> list[str]: ...

    def tensor(self, name: str) -> Tensor:
        """Raises CheckpointError for a name that is missing or a type that is not supported."""
        ...

    def close(self) -> None:
        """Unmaps the files; tensors read before become invalid."""
        ...
