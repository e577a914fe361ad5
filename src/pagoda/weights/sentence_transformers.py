"""How hidden states become embeddings: the files that sentence-transformers writes beside a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pagoda.models import ENCODERS
from pagoda.models.config import ModelConfig
from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.json_fields import Fields, read_json, read_json_list

MODULES = "modules.json"
METHODS = ("last", "mean", "cls")

#: what 1_Pooling/config.json switches on -> the method's name here; None is not supported
_SWITCHES: Mapping[str, str | None] = MappingProxyType(
    {
        "pooling_mode_cls_token": "cls",
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_lasttoken": "last",
        "pooling_mode_max_tokens": None,
        "pooling_mode_mean_sqrt_len_tokens": None,
        "pooling_mode_weightedmean_tokens": None,
    }
)
_MODES = {"cls": "cls", "mean": "mean", "lasttoken": "last"}  # as newer versions write `pooling_mode`
_ACTIVATIONS = {"Sigmoid": "sigmoid", "Identity": "identity", "Softmax": "softmax"}


@dataclass(frozen=True, slots=True)
class PoolingSettings:
    """What a model says of its embeddings.

    method: "last", "mean" or "cls" (the first token). max_length: tokens that it was trained for, where that
    is less than it has positions. labels and activation ("sigmoid", "softmax", "identity"): of a classifier.
    """

    method: str
    normalize: bool
    max_length: int | None = None
    labels: tuple[str, ...] = ()
    activation: str = ""


def has_modules(path: Path) -> bool:
    """Whether a folder was made for embeddings by sentence-transformers."""
    return (path / MODULES).is_file()


def pooling_settings(path: Path, config: ModelConfig) -> PoolingSettings:
    """path: a model's folder or GGUF file. Without files that say more, encoders take the first token and
    decoders the last one, normalised. Raises CheckpointError for what cannot be used.
    """
    if config.num_labels:
        return _classifier(path, config)
    method, normalize = "cls" if config.architecture in ENCODERS else "last", True
    if has_modules(path):
        normalize = False
        for module in read_json_list(path / MODULES):
            kind = str(module.get("type")).rpartition(".")[2]
            if kind == "Pooling":
                method = _method(path / str(module.get("path")) / "config.json")
            elif kind == "Normalize":
                normalize = True
            elif kind != "Transformer":
                raise CheckpointError(f"{path / MODULES}: modules of type {kind!r} are not supported")
    return PoolingSettings(method, normalize, _max_length(path))


def _method(path: Path) -> str:
    found = read_json(path)
    mode = found.get("pooling_mode")
    if isinstance(mode, str):
        if mode not in _MODES:
            raise CheckpointError(f"{path}: pooling by {mode!r} is not supported ({', '.join(_MODES)} are)")
        return _MODES[mode]
    chosen = [name for name in found if name.startswith("pooling_mode_") and found[name] is True]
    methods = [_SWITCHES.get(name) for name in chosen]
    if len(methods) != 1 or methods[0] is None:
        shown = ", ".join(chosen) or "nothing"
        raise CheckpointError(f"{path}: pooling by {shown} is not supported; one of cls, mean and last is")
    return methods[0]


def _max_length(path: Path) -> int | None:
    file = path / "sentence_bert_config.json"
    if not file.is_file():
        return None
    length = read_json(file).get("max_seq_length")
    return length if type(length) is int and length > 0 else None


def _classifier(path: Path, config: ModelConfig) -> PoolingSettings:
    file = path / "config.json"
    found = read_json(file)
    names = found.get("id2label")
    labels = [f"LABEL_{index}" for index in range(config.num_labels)]
    if isinstance(names, dict):
        labels = [str(names.get(str(index), label)) for index, label in enumerate(labels)]
    activation = _activation(file, found)
    if activation is None:
        multi = found.get("problem_type") == "multi_label_classification"
        activation = "sigmoid" if config.num_labels == 1 or multi else "softmax"
    return PoolingSettings("cls", False, _max_length(path), tuple(labels), activation)


def _activation(file: Path, found: Mapping[str, Any]) -> str | None:
    """A cross-encoder's own activation, by the name of its class in PyTorch; None where it names none."""
    section = found.get("sentence_transformers")
    given = section.get("activation_fn") if isinstance(section, dict) else None
    name = Fields(file, {"activation": given or found.get("sbert_ce_default_activation_function")})
    text = name.get("activation", str, "")
    if not text:
        return None
    kind = text.rpartition(".")[2].removesuffix("()")
    if kind not in _ACTIVATIONS:
        raise CheckpointError(f"{file}: scores by {text!r} are not supported")
    return _ACTIVATIONS[kind]
