"""From a pooling engine's vectors to what clients want: shorter ones, similarities, probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def normalized(vector: Array) -> Array:
    """The vector scaled to length 1; zeros stay zeros."""
    length = np.sqrt(np.sum(np.square(vector, dtype=np.float64)))
    return vector if length == 0 else (vector / length).astype(np.float32)


def shortened(vector: Array, dimensions: int | None) -> Array:
    """The first `dimensions` values scaled to length 1 again (Matryoshka embeddings, arXiv:2205.13147)."""
    if dimensions is None or dimensions == len(vector):
        return vector
    return normalized(vector[:dimensions])


def cosine(first: Array, second: Array) -> float:
    """The cosine of two vectors' angle; 0 where one of them is zero."""
    return float(np.dot(normalized(first).astype(np.float64), normalized(second).astype(np.float64)))


def activated(outputs: Array, activation: str) -> Array:
    """A classifier's outputs as scores: "sigmoid", "softmax" or "identity"."""
    wide = outputs.astype(np.float64)
    match activation:
        case "sigmoid":
            wide = 0.5 * (1.0 + np.tanh(0.5 * wide))
        case "softmax":
            powers = np.exp(wide - wide.max())
            wide = powers / powers.sum()
    return wide.astype(np.float32)
