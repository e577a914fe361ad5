"""BERT (arXiv:1810.04805) and RoBERTa (arXiv:1907.11692), of the same shape: encoders, for embeddings and,
with their classifier, for scores of pairs.

Norms stand after the sums, attention sees the whole sequence, and positions are learned vectors. Weights are
named as in Hugging Face's BertModel (without "bert." before them); a classifier's first layer is its pooler.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from pagoda.models.config import ModelConfig
from pagoda.models.program import (
    Activation,
    ActivationKind,
    Add,
    Attention,
    Embed,
    EmbedPositions,
    EmbedSegments,
    LayerNorm,
    Linear,
    Op,
    Program,
    Result,
    SelectRows,
)

ACTIVATIONS = ("gelu", "gelu_tanh", "relu")


def build(config: ModelConfig) -> Program:
    """Hidden states of the last layer; with num_labels, the classifier's outputs of the first token."""
    if config.hidden_act not in ACTIVATIONS:
        raise ValueError(f"unknown activation {config.hidden_act!r}; known: {', '.join(ACTIVATIONS)}")
    hidden = config.hidden_size
    buffers = {
        "hidden": hidden,
        "positions": hidden,
        "segments": hidden,
        "q": hidden,
        "k": hidden,
        "v": hidden,
        "attention": hidden,
        "inner": config.intermediate_size,
        "projected": hidden,
        "selected": hidden,
    }
    ops: list[Op] = [
        Embed("hidden", "embeddings.word_embeddings.weight"),
        EmbedPositions("positions", "embeddings.position_embeddings.weight"),
        Add("hidden", "positions"),
    ]
    if config.type_vocab_size:
        ops += [
            EmbedSegments("segments", "embeddings.token_type_embeddings.weight"),
            Add("hidden", "segments"),
        ]
    ops.append(_norm("embeddings.LayerNorm", config))
    for layer in range(config.num_hidden_layers):
        ops += _layer(config, layer)
    ops.append(SelectRows("hidden", "selected"))
    if config.num_labels:
        buffers |= {"pooled": hidden, "scores": config.num_labels}
        ops += [
            _linear("selected", "pooled", "pooler.dense"),
            Activation("pooled", "tanh"),
            _linear("pooled", "scores", "classifier"),
        ]
    ops.append(Result("scores" if config.num_labels else "selected"))
    return Program(config, buffers, tuple(ops), np.empty(0, np.float32))


def _layer(config: ModelConfig, layer: int) -> list[Op]:
    prefix = f"encoder.layer.{layer}."
    heads, head_dim = config.num_attention_heads, config.head_dim
    return [
        _linear("hidden", "q", prefix + "attention.self.query"),
        _linear("hidden", "k", prefix + "attention.self.key"),
        _linear("hidden", "v", prefix + "attention.self.value"),
        Attention(
            "q", "k", "v", "attention", layer, heads, heads, head_dim, scale=head_dim**-0.5, causal=False
        ),
        _linear("attention", "projected", prefix + "attention.output.dense"),
        Add("hidden", "projected"),
        _norm(prefix + "attention.output.LayerNorm", config),
        _linear("hidden", "inner", prefix + "intermediate.dense"),
        Activation("inner", cast(ActivationKind, config.hidden_act)),
        _linear("inner", "projected", prefix + "output.dense"),
        Add("hidden", "projected"),
        _norm(prefix + "output.LayerNorm", config),
    ]


def _linear(x: str, out: str, name: str) -> Linear:
    return Linear(x, out, name + ".weight", name + ".bias")


def _norm(name: str, config: ModelConfig) -> LayerNorm:
    return LayerNorm("hidden", "hidden", name + ".weight", name + ".bias", config.layer_norm_eps)
