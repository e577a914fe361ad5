"""The stored checkpoints whose logits Hugging Face Transformers gave; see goldens/make_goldens.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parent.parent / "goldens"
MODELS = ("llama", "llama_rope3", "llama_linear_bias", "qwen2", "qwen2_yarn", "qwen3")
KEPT = 8  #: as in make_goldens.py

#: The largest difference to Transformers, as a share of a prompt's largest logit. Both compute in float32 and
#: sum in different orders: about 100 roundings of 2^-24 in a row are 6e-6, and 4e-6 was seen.
TOLERANCE = 2e-5


def prompts(name: str) -> Iterator[tuple[list[int], list[int], npt.NDArray[np.float32]]]:
    """(tokens, rows, logits): `logits` are those after the tokens numbered `rows`."""
    golden = np.load(FOLDER / name / "golden.npz")
    tokens, logits = golden["tokens"], golden["logits"]
    at = 0
    for padded in tokens:
        prompt = padded[padded >= 0].tolist()
        rows = sorted({*range(0, len(prompt), KEPT), len(prompt) - 1})
        yield prompt, rows, logits[at : at + len(rows)]
        at += len(rows)


@dataclass(frozen=True, slots=True)
class EncoderGolden:
    """A prompt of an encoder and what Transformers made of it; see goldens/make_bert_goldens.py."""

    tokens: list[int]
    segments: npt.NDArray[np.int32]
    expected: npt.NDArray[np.float32]  #: states (tokens, width), or the scores (labels,) of a classifier


def encoder_prompts(name: str) -> list[EncoderGolden]:
    """Of "bert" the states of all tokens, of "bert_classifier" the scores."""
    golden = np.load(FOLDER / name / "golden.npz")
    found, at = [], 0
    for number, (padded, kinds) in enumerate(zip(golden["tokens"], golden["segments"], strict=True)):
        length = int((padded >= 0).sum())
        states = "states" in golden
        expected = golden["states"][at : at + length] if states else golden["scores"][number]
        found.append(EncoderGolden(padded[:length].tolist(), kinds[:length].copy(), expected))
        at += length
    return found
