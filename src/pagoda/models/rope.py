"""Rotary frequencies of a model (arXiv:2104.09864) and their stretching for long contexts."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pagoda.models.config import ModelConfig, RopeScaling

Floats = npt.NDArray[np.float64]


def inverse_frequencies(config: ModelConfig) -> tuple[npt.NDArray[np.float32], float]:
    """(head_dim / 2,) radians a position, and the factor that multiplies every cosine and sine.

    Computed in float64 and rounded once. Raises ValueError for an unknown kind of scaling.
    """
    exponents = np.arange(0, config.head_dim, 2, dtype=np.float64) / config.head_dim
    frequencies = np.asarray(config.rope_theta**-exponents, dtype=np.float64)
    scale = 1.0
    scaling = config.rope_scaling
    match scaling.kind if scaling is not None else "default", scaling:
        case "default", _:
            pass
        case "linear", RopeScaling(factor=factor):
            frequencies /= factor
        case "factors", RopeScaling(frequency_factors=factors):
            frequencies /= np.array(factors, dtype=np.float64)
        case "llama3", RopeScaling() as llama3:
            frequencies = _llama3(frequencies, llama3)
        case "yarn", RopeScaling() as yarn:
            frequencies = _yarn(frequencies, yarn, config)
            scale = yarn.attention_factor or 0.1 * math.log(yarn.factor) + 1.0
        case kind, _:
            raise ValueError(f"unknown rope scaling {kind!r}")
    with np.errstate(over="ignore", under="ignore"):  # infinite frequencies are refused with the checkpoint
        return frequencies.astype(np.float32), scale


def rope_table(
    inv_freq: npt.NDArray[np.float32], scale: float, length: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Cosines and sines, each (length, head_dim / 2) float32, of positions 0 .. length - 1.

    The angle is float32(position) * inv_freq in float32, as checkpoints were trained; its cosine and sine,
    times `scale`, are computed in float64 and rounded once, so that every executor has the same.
    """
    angles = np.arange(length, dtype=np.float32)[:, None] * inv_freq.astype(np.float32)
    wide = angles.astype(np.float64)
    return (np.cos(wide) * scale).astype(np.float32), (np.sin(wide) * scale).astype(np.float32)


def _llama3(frequencies: Floats, scaling: RopeScaling) -> Floats:
    """Llama 3.1: long waves are divided by `factor`, short ones kept, those between interpolated."""
    length = scaling.original_max_position_embeddings
    waves = 2 * math.pi / frequencies
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    share = np.clip((length / waves - low) / (high - low), 0.0, 1.0)
    return np.asarray((1 - share) * frequencies / scaling.factor + share * frequencies)


def _yarn(frequencies: Floats, scaling: RopeScaling, config: ModelConfig) -> Floats:
    """YaRN, section 3.2: pairs that turn often within the trained length are kept, slow ones divided."""

    def dimension(rotations: float) -> float:
        """The pair that turns `rotations` times within the trained length."""
        turns = scaling.original_max_position_embeddings / (rotations * 2 * math.pi)
        return config.head_dim * math.log(turns) / (2 * math.log(config.rope_theta))

    low = max(math.floor(dimension(scaling.beta_fast)), 0)
    high = min(math.ceil(dimension(scaling.beta_slow)), config.head_dim - 1)
    pairs = np.arange(config.head_dim // 2, dtype=np.float64)
    divided = np.clip((pairs - low) / max(high - low, 0.001), 0.0, 1.0)
    return np.asarray(frequencies / scaling.factor * divided + frequencies * (1 - divided))
