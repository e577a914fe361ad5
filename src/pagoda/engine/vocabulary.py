"""The vocabulary as grammars need it: every token's bytes, and which tokens are special.

It is read straight from the model's files, as a whole tokenizer takes ten times as long to make and most of
that time nothing else can run in the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pagoda.text.token_bytes import ByteLevelSpelling, SentencePieceSpelling, Spelling, spelling_of

_CONTROL = (2, 3)  #: `tokenizer.ggml.token_type` of the unknown token and of control tokens
#: `tokenizer.ggml.model`
_SPELLINGS: dict[str, Callable[[], Spelling]] = {
    "gpt2": ByteLevelSpelling,
    "llama": lambda: SentencePieceSpelling(strips_first_space=False),
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """tokens: the bytes of each token id; b"" for ids that stand for nothing. special_ids: tokens that are
    no text.
    """

    tokens: list[bytes]
    special_ids: frozenset[int]


def load_vocabulary(model_path: Path, size: int) -> Vocabulary:
    """The vocabulary of a model of `size` token ids, which may be more or fewer than its tokenizer has.

    Raises CheckpointError where there is no tokenizer or it cannot be used.
    """
    found = _from_folder(model_path, size) if model_path.is_dir() else _from_gguf(model_path, size)
    return found or _from_tokenizer(model_path, size)


class _AddedToken(msgspec.Struct):
    id: int
    content: str
    special: bool = False


class _Model(msgspec.Struct):
    vocab: dict[str, int]


class _TokenizerFile(msgspec.Struct):
    """The parts of a tokenizer.json that say what tokens mean."""

    model: _Model
    added_tokens: list[_AddedToken] = []
    decoder: dict[str, Any] | None = None


def _from_folder(folder: Path, size: int) -> Vocabulary | None:
    try:
        content = msgspec.json.decode((folder / "tokenizer.json").read_bytes(), type=_TokenizerFile)
    except (OSError, msgspec.DecodeError):
        return None  # a form that is not read here, or an error to be told in the tokenizer's own words
    spelling = spelling_of(content.decoder)
    if spelling is None:
        return None
    spelled = [(index, token) for token, index in content.model.vocab.items()]
    spelled += [(token.id, token.content) for token in content.added_tokens]
    special = (token.id for token in content.added_tokens if token.special)
    return _vocabulary(spelled, spelling, special, size)


def _from_gguf(path: Path, size: int) -> Vocabulary | None:
    from pagoda.weights.gguf import GGUFFile

    file = GGUFFile.open(path)
    try:
        tokens = file.metadata.get("tokenizer.ggml.tokens")
        kinds = file.metadata.get("tokenizer.ggml.token_type")
        make = _SPELLINGS.get(str(file.metadata.get("tokenizer.ggml.model")))
    finally:
        file.close()
    if make is None or not isinstance(tokens, list):
        return None
    special = (index for index, kind in enumerate(kinds if kinds is not None else ()) if kind in _CONTROL)
    return _vocabulary(enumerate(tokens), make(), special, size)


def _from_tokenizer(path: Path, size: int) -> Vocabulary:
    from pagoda.text.load import load_tokenizer

    tokenizer = load_tokenizer(path)
    tokens = [tokenizer.token_bytes(index) for index in range(min(size, tokenizer.vocab_size))]
    tokens += [b""] * (size - len(tokens))
    return Vocabulary(tokens, frozenset(index for index in tokenizer.special_ids if index < size))


def _vocabulary(
    spelled: Iterable[tuple[int, str]], spelling: Spelling, special: Iterable[int], size: int
) -> Vocabulary:
    tokens = [b""] * size
    for index, token in spelled:
        if 0 <= index < size:
            tokens[index] = spelling.token_bytes(token)
    return Vocabulary(tokens, frozenset(index for index in special if 0 <= index < size))
