"""Fields of config.json that a user replaces (`--hf-overrides`), for folders and for GGUF files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pagoda.models.config import ModelConfig
from pagoda.weights.checkpoint import CheckpointError, check_config
from pagoda.weights.hf_config import rope_of, stretched_length
from pagoda.weights.json_fields import Fields, ids_of

_ROPE = ("rope_scaling", "rope_parameters")


def override_json(config: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The content of config.json with some fields replaced.

    `rope_scaling` and `rope_theta` reach a file that has `rope_parameters` (Transformers 5) too.
    """
    found = {**config, **overrides}
    rope = config.get("rope_parameters")
    if isinstance(rope, dict) and "rope_parameters" not in overrides:
        scaling = overrides.get("rope_scaling")
        theta = {"rope_theta": overrides["rope_theta"]} if "rope_theta" in overrides else {}
        kept = {"rope_theta": rope["rope_theta"]} if "rope_theta" in rope else {}
        base = {**kept, **scaling} if isinstance(scaling, dict) else rope
        found["rope_parameters"] = {**base, **theta}
    return found


def override_config(config: ModelConfig, overrides: Mapping[str, Any], path: Path) -> ModelConfig:
    """The sizes of a model that has no config.json, with fields of one replaced. Raises CheckpointError for
    fields that would need other weights.
    """
    fields = Fields(Path("--hf-overrides"), overrides)
    changes: dict[str, Any] = {}
    for name in overrides:
        match name:
            case "max_position_embeddings":
                changes[name] = fields.get(name, int)
            case "rms_norm_eps":
                changes[name] = fields.get(name, float)
            case "eos_token_id":
                changes["eos_token_ids"] = tuple(ids_of(overrides[name], config.vocab_size))
            case "rope_theta" | "rope_scaling" | "rope_parameters":
                continue
            case _:
                raise CheckpointError(f"--hf-overrides: {name!r} cannot be changed for the GGUF file {path}")
    length = changes.get("max_position_embeddings", config.max_position_embeddings)
    if any(name in overrides for name in (*_ROPE, "rope_theta")):
        rope = {"rope_theta": config.rope_theta, "max_position_embeddings": length, **overrides}
        theta, scaling = rope_of(Fields(Path("--hf-overrides"), rope))
        changes["rope_theta"] = theta
        if any(name in overrides for name in _ROPE):
            changes["rope_scaling"] = scaling
            changes["max_position_embeddings"] = stretched_length(length, scaling)
    found = replace(config, **changes)
    check_config(found, path)
    return found
