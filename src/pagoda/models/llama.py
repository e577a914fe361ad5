"""Llama 1 to 3 and everything of its shape (SmolLM2, Mistral without sliding window): arXiv:2302.13971."""

from __future__ import annotations

from pagoda.models.config import ModelConfig
from pagoda.models.layers import LayerStyle, decoder
from pagoda.models.program import Program


def build(config: ModelConfig) -> Program:
    return decoder(
        config,
        LayerStyle(
            qkv_bias=config.attention_bias, out_bias=config.attention_out_bias, mlp_bias=config.mlp_bias
        ),
    )
