"""What every checkpoint reader offers, whatever the files: a GGUF file or a folder of safetensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pagoda.models.config import ModelConfig
from pagoda.weights.tensor import Format, Tensor

MAX_SIZE = 1 << 30  #: far above any size of a model, far below what overflows
MAX_HEAD_DIM = 1024
MAX_SCALING = 1e6  #: of the factors of rope scaling


class CheckpointError(ValueError):
    """The files cannot be used; the message is one line: what is wrong, where, and what to do."""


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

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor without reading it. Raises CheckpointError as `tensor` does."""
        ...

    def format(self, name: str) -> Format:
        """The format of a tensor without reading it. Raises CheckpointError as `tensor` does."""
        ...

    def tensor(self, name: str) -> Tensor:
        """Raises CheckpointError for a name that is missing or a type that is not supported."""
        ...

    def close(self) -> None:
        """Unmaps the files; tensors read before become invalid."""
        ...


def check_config(config: ModelConfig, path: Path) -> None:
    """Raises CheckpointError for sizes that no model has: they come from a file, so nothing is believed."""
    sizes = {
        "vocabulary size": config.vocab_size,
        "hidden size": config.hidden_size,
        "intermediate size": config.intermediate_size,
        "number of layers": config.num_hidden_layers,
        "number of attention heads": config.num_attention_heads,
        "number of key-value heads": config.num_key_value_heads,
        "head size": config.head_dim,
        "context length": config.max_position_embeddings,
    }
    for what, size in sizes.items():
        if not 1 <= size <= MAX_SIZE:
            raise CheckpointError(f"{path}: the {what} is {size:,}, which no model has; fetch it again")
    if config.num_attention_heads % config.num_key_value_heads:
        raise CheckpointError(
            f"{path}: {config.num_attention_heads} attention heads cannot share "
            f"{config.num_key_value_heads} key-value heads evenly"
        )
    if config.head_dim % 2 or config.head_dim > MAX_HEAD_DIM:
        raise CheckpointError(
            f"{path}: a head size of {config.head_dim} is not supported (even, up to {MAX_HEAD_DIM})"
        )
    for what, count in (
        ("number of segments", config.type_vocab_size),
        ("number of labels", config.num_labels),
    ):
        if not 0 <= count <= MAX_SIZE:
            raise CheckpointError(f"{path}: the {what} is {count:,}, which no model has; fetch it again")
    if not (math.isfinite(config.layer_norm_eps) and config.layer_norm_eps >= 0):
        raise CheckpointError(f"{path}: the norm's epsilon is {config.layer_norm_eps}, which cannot be right")
    if not (math.isfinite(config.rms_norm_eps) and config.rms_norm_eps >= 0):
        raise CheckpointError(f"{path}: the norm's epsilon is {config.rms_norm_eps}, which cannot be right")
    if not (math.isfinite(config.rope_theta) and config.rope_theta > 1):
        raise CheckpointError(f"{path}: the rotary base is {config.rope_theta}, which cannot be right")
    scaling = config.rope_scaling
    if scaling is None:
        return
    bands = (scaling.low_freq_factor, scaling.high_freq_factor, scaling.beta_fast, scaling.beta_slow)
    if not all(1 / MAX_SCALING <= number <= MAX_SCALING for number in (scaling.factor, *bands)):
        raise CheckpointError(f"{path}: the numbers of its rope scaling cannot be right: {scaling}")
    if scaling.kind == "llama3" and scaling.high_freq_factor <= scaling.low_freq_factor:
        raise CheckpointError(f"{path}: high_freq_factor of its rope scaling must be above low_freq_factor")
    if scaling.kind in ("llama3", "yarn") and scaling.original_max_position_embeddings < 1:
        raise CheckpointError(f"{path}: its rope scaling lacks original_max_position_embeddings")
    if scaling.kind == "factors" and len(scaling.frequency_factors) != config.head_dim // 2:
        raise CheckpointError(
            f"{path}: {len(scaling.frequency_factors)} rotary factors do not fit heads of {config.head_dim}"
        )
