"""adapter_config.json of PEFT: what a low-rank adapter is, and what of it cannot be merged here."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.json_fields import read_json

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
MAX_RANK = 4096
MAX_REPEATS = 3  #: in a pattern: with more, or with groups that repeat, a search may take for ever
_REPEATS = re.compile(r"[*+?{]")
_REPEATED_GROUP = re.compile(r"\)[*+?{]")
_Value = TypeVar("_Value", int, float)

#: fields that change what an adapter computes -> the values that mean "not used"
_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "use_dora": (None, False),
    "use_qalora": (None, False),
    "use_bdlora": (None, False),
    "arrow_config": (None,),
    "kasa_config": (None,),
    "monteclora_config": (None,),
    "velora_config": (None,),
    "lora_bias": (None, False),
    "bias": (None, "none"),
    "modules_to_save": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "layer_replication": (None, []),
    "alora_invocation_tokens": (None, []),
    "fan_in_fan_out": (None, False),
}
#: ways of starting the training that change the base's weights too
_CHANGED_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


class AdapterNotFoundError(CheckpointError):
    """There is no adapter at the path."""


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """Ranks and scales of an adapter (LoRA, arXiv:2106.09685)."""

    rank: int
    alpha: float
    rank_stabilised: bool = False  #: arXiv:2312.03732
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)

    def rank_of(self, module: str) -> int:
        """Of a module by its full name, such as model.layers.0.self_attn.q_proj."""
        return _by_pattern(self.rank_pattern, module, self.rank)

    def scale_of(self, module: str) -> float:
        """What the product of the module's two matrices is multiplied with."""
        rank = self.rank_of(module)
        alpha = _by_pattern(self.alpha_pattern, module, self.alpha)
        return alpha / (math.sqrt(rank) if self.rank_stabilised else rank)


def read_lora_config(folder: Path) -> LoraConfig:
    """Reads a folder's adapter_config.json. Raises AdapterNotFoundError where there is none, CheckpointError
    for what is not supported.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise AdapterNotFoundError(f"No adapter found for {folder}: it needs {CONFIG_FILE}, {WEIGHTS_FILE}")
    content = read_json(path)
    kind = content.get("peft_type")
    if kind != "LORA":
        raise CheckpointError(f"{path}: adapters of type {str(kind)[:40]!r} are not supported, LORA is")
    for name, plain in _PLAIN.items():
        if content.get(name) not in plain:
            raise CheckpointError(
                f"{path}: {name} = {str(content[name])[:60]} is not supported; "
                "merge the adapter into its base with PEFT and serve the result"
            )
    start = content.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_CHANGED_BASE):
        raise CheckpointError(
            f"{path}: an adapter that was started with {start[:40]!r} belongs to changed base weights; "
            "convert it with PEFT (path_initial_model_for_weight_conversion)"
        )
    return LoraConfig(
        rank=_rank(path, "r", content.get("r")),
        alpha=_alpha(path, "lora_alpha", content.get("lora_alpha")),
        rank_stabilised=content.get("use_rslora") is True,
        rank_pattern={key: _rank(path, key, value) for key, value in _object(path, content, "rank_pattern")},
        alpha_pattern={
            key: _alpha(path, key, value) for key, value in _object(path, content, "alpha_pattern")
        },
    )


def _by_pattern(patterns: Mapping[str, _Value], module: str, default: _Value) -> _Value:
    """The first pattern that the module's name ends with decides, as in PEFT."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def _object(path: Path, content: Mapping[str, Any], name: str) -> list[tuple[str, Any]]:
    value = content.get(name) or {}
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: {name} is no object")
    for key in value:
        try:
            re.compile(key)
        except re.error as error:
            raise CheckpointError(f"{path}: {name} has the pattern {key[:60]!r}: {error}") from error
        if len(_REPEATS.findall(key)) > MAX_REPEATS or _REPEATED_GROUP.search(key):
            raise CheckpointError(f"{path}: {name} has a pattern that may take for ever: {key[:60]!r}")
    return list(value.items())


def _rank(path: Path, name: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_RANK:
        raise CheckpointError(f"{path}: the rank {name} is {str(value)[:40]!r}, not one of 1 to {MAX_RANK}")
    return value


def _alpha(path: Path, name: str, value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise CheckpointError(f"{path}: {name} is {str(value)[:40]!r}, not a number")
    return float(value)
