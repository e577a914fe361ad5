"""Rotary frequencies: formulas written out by hand (goldens check them against Transformers)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pagoda.models.config import ModelConfig, RopeScaling
from pagoda.models.rope import inverse_frequencies, rope_table


def config(scaling: RopeScaling | None = None, **changes: Any) -> ModelConfig:
    sizes: dict[str, Any] = {
        "architecture": "llama",
        "vocab_size": 8,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "head_dim": 64,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
        "rope_scaling": scaling,
    }
    return ModelConfig(**{**sizes, **changes})


def test_plain_frequencies() -> None:
    frequencies, scale = inverse_frequencies(config())
    assert scale == 1.0
    assert frequencies.dtype == np.float32
    assert frequencies.tolist() == [np.float32(10000.0 ** (-2 * i / 64)) for i in range(32)]


def test_linear_scaling_divides_all() -> None:
    plain, _ = inverse_frequencies(config())
    scaled, scale = inverse_frequencies(config(RopeScaling("linear", 4.0)))
    assert scale == 1.0
    np.testing.assert_array_equal(scaled, plain / 4)


def test_factors_divide_each() -> None:
    factors = tuple(float(i + 1) for i in range(32))
    plain, _ = inverse_frequencies(config())
    scaled, _ = inverse_frequencies(config(RopeScaling("factors", 1.0, frequency_factors=factors)))
    np.testing.assert_allclose(scaled, plain / np.array(factors), rtol=1e-6)


def test_llama3_keeps_short_waves_and_divides_long_ones() -> None:
    plain, _ = inverse_frequencies(config())
    scaled, _ = inverse_frequencies(config(RopeScaling("llama3", 8.0, 512, 1.0, 4.0)))
    waves = 2 * math.pi / plain
    for before, after, wave in zip(plain, scaled, waves, strict=True):
        if wave < 512 / 4:
            assert after == before
        elif wave > 512 / 1:
            assert after == pytest.approx(before / 8, rel=1e-6)
        else:
            assert before / 8 < after < before
    assert (waves < 128).any()
    assert (waves > 512).any()


def test_yarn_keeps_fast_pairs_divides_slow_ones_and_scales() -> None:
    plain, _ = inverse_frequencies(config())
    scaled, scale = inverse_frequencies(config(RopeScaling("yarn", 4.0, 512)))
    assert scale == pytest.approx(0.1 * math.log(4) + 1)
    turns = 512 * plain / (2 * math.pi)
    # The ramp begins at a whole pair and ends at one.
    assert (scaled[turns > 33] == plain[turns > 33]).all()
    np.testing.assert_allclose(scaled[turns < 0.7], plain[turns < 0.7] / 4, rtol=1e-6)
    assert (np.diff(scaled) < 0).all()
    assert inverse_frequencies(config(RopeScaling("yarn", 4.0, 512, attention_factor=1.25)))[1] == 1.25


def test_unknown_scaling_is_refused() -> None:
    with pytest.raises(ValueError, match="'magic'"):
        inverse_frequencies(config(RopeScaling("magic", 2.0)))


def test_table() -> None:
    frequencies, _ = inverse_frequencies(config())
    cos, sin = rope_table(frequencies, 1.5, 1000)
    assert cos.shape == sin.shape == (1000, 32)
    assert cos.dtype == sin.dtype == np.float32
    for position, pair in ((0, 0), (1, 0), (999, 0), (999, 17), (123, 31)):
        angle = float(np.float32(position) * frequencies[pair])
        assert cos[position, pair] == np.float32(math.cos(angle) * 1.5)
        assert sin[position, pair] == np.float32(math.sin(angle) * 1.5)
