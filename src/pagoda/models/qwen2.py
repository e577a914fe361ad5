"""Qwen2 and Qwen2.5 (dense): Llama's layers with biases on queries, keys and values; arXiv:2407.10671."""

from __future__ import annotations

from pagoda.models.config import ModelConfig
from pagoda.models.layers import LayerStyle, decoder
from pagoda.models.program import Program


def build(config: ModelConfig) -> Program:
    return decoder(config, LayerStyle(qkv_bias=True))
