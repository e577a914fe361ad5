"""Qwen3 (dense): Llama's layers with each head of queries and keys normed; arXiv:2505.09388."""

from __future__ import annotations

from pagoda.models.config import ModelConfig
from pagoda.models.layers import LayerStyle, decoder
from pagoda.models.program import Program


def build(config: ModelConfig) -> Program:
    return decoder(
        config,
        LayerStyle(qkv_bias=config.attention_bias, out_bias=config.attention_out_bias, head_norm=True),
    )
