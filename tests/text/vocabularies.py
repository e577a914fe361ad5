"""Small vocabularies for tests: GGUF metadata of a byte-level and of a SentencePiece tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pagoda.text.token_bytes import byte_level_alphabet

DATA = Path(__file__).parent / "data"
MERGES = [
    "h e",
    "l l",
    "he ll",
    "hell o",
    "Ġ w",
    "o r",
    "Ġw or",
    "l d",
    "Ġwor ld",
    "ä ½",
    "t h",
    "th e",
    "1 2",
]
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
USER_DEFINED = ["<tool_call>", "</tool_call>"]


def byte_level_metadata(pre: str = "smollm", **changes: Any) -> dict[str, Any]:
    """All 256 bytes, a few merges (one of them half a Chinese character), control and user-defined tokens."""
    pieces = [*byte_level_alphabet(), *(merge.replace(" ", "") for merge in MERGES)]
    tokens = [*CONTROL, *pieces, *USER_DEFINED]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * len(CONTROL) + [1] * len(pieces) + [4] * len(USER_DEFINED),
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }
    metadata.update({f"tokenizer.ggml.{key}": value for key, value in changes.items()})
    return {key: value for key, value in metadata.items() if value is not None}


def sentencepiece_data() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DATA / "sentencepiece.json").read_text("utf-8"))
    return content


def sentencepiece_metadata() -> dict[str, Any]:
    content = {key: value for key, value in sentencepiece_data().items() if key != "vectors"}
    return {
        "tokenizer.ggml.model": "llama",
        **{f"tokenizer.ggml.{key}": value for key, value in content.items()},
    }
