"""Hugging Face's config.json and generation_config.json as ModelConfig, of Transformers 4 and 5."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pagoda.models.config import ModelConfig, RopeScaling
from pagoda.weights.bert_config import BERT_ARCHITECTURES, bert_config
from pagoda.weights.checkpoint import MAX_SIZE, CheckpointError, check_config
from pagoda.weights.json_fields import Fields, first_id, ids_of

#: `architectures` of config.json -> the name of a program builder
ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "LlamaModel": "llama",
    "Qwen2Model": "qwen2",
    "Qwen3Model": "qwen3",
    **BERT_ARCHITECTURES,
}


def model_config(path: Path, config: Mapping[str, Any], generation: Mapping[str, Any]) -> ModelConfig:
    """path: the config.json that `config` came from. Raises CheckpointError for what cannot be used."""
    fields = Fields(path, config)
    names = config.get("architectures")
    names = [str(name) for name in names] if isinstance(names, list) else []
    known = [ARCHITECTURES[name] for name in names if name in ARCHITECTURES]
    if not known:
        shown = ", ".join(names)
        raise CheckpointError(
            f"{path}: architecture {(shown[:80] or 'unknown')!r} is not supported; "
            f"Pagoda runs {', '.join(ARCHITECTURES)}"
        )
    architecture = known[0]
    if architecture == "bert":
        return bert_config(fields, names)
    _refuse_unsupported(fields)
    hidden = fields.get("hidden_size", int)
    heads = fields.get("num_attention_heads", int)
    if heads < 1:
        raise CheckpointError(f"{path}: num_attention_heads is {heads}")
    # What Transformers takes where the file does not say.
    head_dim = 128 if architecture == "qwen3" else hidden // heads
    bias = fields.get("attention_bias", bool, architecture == "qwen2")
    theta, scaling = rope_of(fields)
    vocab_size = fields.get("vocab_size", int)
    ends = [
        *ids_of(config.get("eos_token_id"), vocab_size),
        *ids_of(generation.get("eos_token_id"), vocab_size),
    ]
    found = ModelConfig(
        architecture=architecture,
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=fields.get("intermediate_size", int),
        num_hidden_layers=fields.get("num_hidden_layers", int),
        num_attention_heads=heads,
        num_key_value_heads=fields.get("num_key_value_heads", int, heads),
        head_dim=fields.get("head_dim", int, head_dim),
        rms_norm_eps=fields.get("rms_norm_eps", float, 1e-6),
        rope_theta=theta,
        max_position_embeddings=stretched_length(fields.get("max_position_embeddings", int), scaling),
        tie_word_embeddings=fields.get("tie_word_embeddings", bool, False),
        rope_scaling=scaling,
        attention_bias=architecture == "qwen2" or bias,
        attention_out_bias=architecture != "qwen2" and bias,
        mlp_bias=architecture == "llama" and fields.get("mlp_bias", bool, False),
        bos_token_id=first_id(config.get("bos_token_id"), vocab_size),
        eos_token_ids=tuple(dict.fromkeys(ends)),
        pad_token_id=first_id(config.get("pad_token_id"), vocab_size),
    )
    check_config(found, path)
    return found


def _refuse_unsupported(fields: Fields) -> None:
    if fields.get("use_sliding_window", bool, False):
        raise CheckpointError(
            f"{fields.path}: sliding-window attention (use_sliding_window) is not supported"
        )
    layers = fields.values.get("layer_types")
    if isinstance(layers, list) and any(kind != "full_attention" for kind in layers):
        raise CheckpointError(f"{fields.path}: layers of other kinds than full_attention are not supported")
    activation = fields.get("hidden_act", str, "silu")
    if activation != "silu":
        raise CheckpointError(f"{fields.path}: activation {activation!r} is not supported (silu is)")
    if fields.values.get("quantization_config"):
        raise CheckpointError(
            f"{fields.path}: quantised safetensors (quantization_config) are not supported: "
            "take the original model with --quantization int8 or int4, or its GGUF file"
        )


def stretched_length(trained: int, scaling: RopeScaling | None) -> int:
    """The context of a model with scaled rotary positions. Files with linear and YaRN scaling give the length
    before it; those with llama3's give the one after it.
    """
    if scaling is None or scaling.kind not in ("linear", "yarn"):
        return trained
    before = scaling.original_max_position_embeddings if scaling.kind == "yarn" else trained
    stretched = before * scaling.factor
    return max(trained, int(stretched)) if stretched <= MAX_SIZE else trained


def rope_of(fields: Fields) -> tuple[float, RopeScaling | None]:
    """Base and scaling: `rope_parameters` of Transformers 5, else `rope_theta` and `rope_scaling` of 4."""
    parameters = fields.values.get("rope_parameters") or fields.values.get("rope_scaling") or {}
    if not isinstance(parameters, dict):
        raise CheckpointError(f"{fields.path}: its rope parameters are not an object")
    rope = Fields(fields.path, parameters)
    theta = rope.get("rope_theta", float, fields.get("rope_theta", float, 10000.0))
    partial = rope.get("partial_rotary_factor", float, fields.get("partial_rotary_factor", float, 1.0))
    if partial != 1.0:
        raise CheckpointError(f"{fields.path}: rotary embedding of a part of each head is not supported")
    kind = rope.get("rope_type", str, rope.get("type", str, "default"))
    if kind == "default":
        return theta, None
    length = rope.get(
        "original_max_position_embeddings",
        int,
        fields.get("original_max_position_embeddings", int, fields.get("max_position_embeddings", int)),
    )
    match kind:
        case "linear":
            return theta, RopeScaling("linear", rope.get("factor", float))
        case "llama3":
            low, high = rope.get("low_freq_factor", float), rope.get("high_freq_factor", float)
            return theta, RopeScaling("llama3", rope.get("factor", float), length, low, high)
        case "yarn":
            return theta, _yarn(rope, length)
    raise CheckpointError(
        f"{fields.path}: rope type {kind!r} is not supported (default, linear, llama3, yarn are)"
    )


def _yarn(rope: Fields, length: int) -> RopeScaling:
    if not rope.get("truncate", bool, True):
        raise CheckpointError(f"{rope.path}: YaRN without truncation is not supported")
    factor = rope.get("factor", float)
    if factor < 1.0:
        raise CheckpointError(f"{rope.path}: a YaRN factor of {factor} is below 1")
    attention = rope.get("attention_factor", float, 0.0)
    mscale, mscale_all = rope.get("mscale", float, 0.0), rope.get("mscale_all_dim", float, 0.0)
    if not attention and mscale and mscale_all:
        stretch = 0.1 * math.log(factor)
        attention = (stretch * mscale + 1.0) / (stretch * mscale_all + 1.0)
    return RopeScaling(
        kind="yarn",
        factor=factor,
        original_max_position_embeddings=length,
        beta_fast=rope.get("beta_fast", float, 32.0),
        beta_slow=rope.get("beta_slow", float, 1.0),
        attention_factor=attention,
    )
