"""File formats and quantised layouts: every checkpoint is read into one vocabulary of tensors (tensor.py)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pagoda.models import Purpose, build_program
from pagoda.weights.checkpoint import Checkpoint, CheckpointError
from pagoda.weights.dummy import DummyCheckpoint
from pagoda.weights.folder import FolderCheckpoint, read_folder_config
from pagoda.weights.gguf_checkpoint import GGUFCheckpoint
from pagoda.weights.lora import LoraCheckpoint
from pagoda.weights.overrides import override_config
from pagoda.weights.quantize import QuantizedCheckpoint

__all__ = ["Checkpoint", "CheckpointError", "check_weights", "open_checkpoint"]


def open_checkpoint(
    path: Path,
    quantization: str | None = None,
    purpose: Purpose = "generate",
    *,
    overrides: Mapping[str, Any] | None = None,
    dummy_seed: int | None = None,
    lora: Path | None = None,
) -> Checkpoint:
    """Opens a GGUF file or a folder of safetensors and checks that all weights of its program for `purpose`
    are there.

    quantization "int8" or "int4" quantises matrices of wider formats as they are read (quantize.py).
    overrides: fields that replace those of config.json (overrides.py). dummy_seed: random weights in the
    sizes of a folder's config.json instead of those of its files (dummy.py). lora: the folder of an adapter
    that is merged into the weights (lora.py). Raises CheckpointError with one line for whatever is wrong with
    the files.
    """
    if not path.exists():
        raise CheckpointError(f"{path} does not exist: check the path, or fetch the model with `pagoda pull`")
    checkpoint = _open(path, purpose, overrides or {}, dummy_seed)
    check_weights(checkpoint, purpose)
    if lora is not None:
        checkpoint = LoraCheckpoint(checkpoint, lora, exact=quantization is not None)
    return checkpoint if quantization is None else QuantizedCheckpoint(checkpoint, quantization)


def _open(path: Path, purpose: Purpose, overrides: Mapping[str, Any], dummy_seed: int | None) -> Checkpoint:
    if dummy_seed is not None:
        config, generation, content = read_folder_config(path, overrides)
        dtype = str(content.get("dtype") or content.get("torch_dtype") or "bfloat16")
        return DummyCheckpoint(path, config, generation, purpose=purpose, dtype=dtype, seed=dummy_seed)
    if path.is_dir():
        return FolderCheckpoint.open(path, overrides)
    checkpoint = GGUFCheckpoint.open(path)
    if overrides:
        checkpoint.replace_config(override_config(checkpoint.config, overrides, path))
    return checkpoint


def check_weights(checkpoint: Checkpoint, purpose: Purpose = "generate") -> None:
    """Raises CheckpointError unless every weight of the program is there, in its shape and a known type."""
    config, names = checkpoint.config, set(checkpoint.names())
    # Before the program is built: a layer has several tensors, so this bounds what a broken file can ask for.
    if config.num_hidden_layers > len(names):
        raise CheckpointError(
            f"{checkpoint.path} announces {config.num_hidden_layers:,} layers but has {len(names):,} tensors"
        )
    program = build_program(config, purpose)
    if not np.isfinite(program.inv_freq).all() or not math.isfinite(program.rope_scale):
        raise CheckpointError(
            f"{checkpoint.path}: its rotary parameters give frequencies that are not finite"
        )
    for name, shape in program.weight_shapes().items():
        checkpoint.format(name)  # raises for a type that is not supported
        found = checkpoint.shape(name)
        if found != shape:
            raise CheckpointError(
                f"{checkpoint.path}: tensor {name!r} has shape {found}, but the model's sizes ask for {shape}"
            )
