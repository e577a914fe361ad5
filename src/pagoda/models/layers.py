"""What decoders of the Llama shape share: the order of a layer's operations and the frame around the layers.

A builder (llama.py, qwen2.py, qwen3.py) chooses which projections have biases and whether heads are normed.
"""

from __future__ import annotations

from dataclasses import dataclass

from pagoda.models.config import ModelConfig
from pagoda.models.program import (
    Add,
    Attention,
    Embed,
    GatedActivation,
    HeadNorm,
    Linear,
    Logits,
    Norm,
    Op,
    Program,
    Rotary,
    SelectRows,
)
from pagoda.models.rope import inverse_frequencies

EMBEDDING = "model.embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class LayerStyle:
    """How an architecture's layers differ."""

    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    head_norm: bool = False


def decoder(config: ModelConfig, style: LayerStyle) -> Program:
    """Embedding, the layers, the last norm and the logits of the wanted rows."""
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim
    buffers = {
        "hidden": config.hidden_size,
        "normed": config.hidden_size,
        "q": queries,
        "k": keys,
        "v": keys,
        "attention": queries,
        "gate": config.intermediate_size,
        "up": config.intermediate_size,
        "activated": config.intermediate_size,
        "projected": config.hidden_size,
        "selected": config.hidden_size,
        "last": config.hidden_size,
    }
    ops: list[Op] = [Embed("hidden", EMBEDDING)]
    for layer in range(config.num_hidden_layers):
        ops += attention_ops(config, style, layer)
        ops += mlp_ops(config, style, layer)
    ops += [
        SelectRows("hidden", "selected"),
        Norm("selected", "last", "model.norm.weight", config.rms_norm_eps),
        Logits("last", EMBEDDING if config.tie_word_embeddings else "lm_head.weight"),
    ]
    inv_freq, rope_scale = inverse_frequencies(config)
    return Program(config, buffers, tuple(ops), inv_freq, rope_scale)


def attention_ops(config: ModelConfig, style: LayerStyle, layer: int) -> list[Op]:
    """Norm, projections, rotary embedding, attention over the cache, and the sum into the residual stream."""
    prefix = f"model.layers.{layer}.self_attn."
    heads, kv_heads, head_dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    ops: list[Op] = [
        Norm("hidden", "normed", f"model.layers.{layer}.input_layernorm.weight", config.rms_norm_eps),
        _linear("normed", "q", prefix + "q_proj", style.qkv_bias),
        _linear("normed", "k", prefix + "k_proj", style.qkv_bias),
        _linear("normed", "v", prefix + "v_proj", style.qkv_bias),
    ]
    if style.head_norm:
        ops += [
            HeadNorm("q", prefix + "q_norm.weight", config.rms_norm_eps, heads, head_dim),
            HeadNorm("k", prefix + "k_norm.weight", config.rms_norm_eps, kv_heads, head_dim),
        ]
    return [
        *ops,
        Rotary("q", heads, head_dim),
        Rotary("k", kv_heads, head_dim),
        Attention("q", "k", "v", "attention", layer, heads, kv_heads, head_dim, head_dim**-0.5),
        _linear("attention", "projected", prefix + "o_proj", style.out_bias),
        Add("hidden", "projected"),
    ]


def mlp_ops(config: ModelConfig, style: LayerStyle, layer: int) -> list[Op]:
    """Norm, gated feed-forward network, and the sum into the residual stream."""
    prefix = f"model.layers.{layer}."
    return [
        Norm("hidden", "normed", prefix + "post_attention_layernorm.weight", config.rms_norm_eps),
        _linear("normed", "gate", prefix + "mlp.gate_proj", style.mlp_bias),
        _linear("normed", "up", prefix + "mlp.up_proj", style.mlp_bias),
        GatedActivation("gate", "up", "activated"),
        _linear("activated", "projected", prefix + "mlp.down_proj", style.mlp_bias),
        Add("hidden", "projected"),
    ]


def _linear(x: str, out: str, name: str, bias: bool) -> Linear:
    return Linear(x, out, name + ".weight", name + ".bias" if bias else None)
