"""The vocabulary as grammars need it: every token's bytes, and which tokens are special."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """tokens: the bytes of each token id; b"" for ids that stand for nothing. special_ids: tokens that are
    no text.
    """

    tokens: list[bytes]
    special_ids: frozenset[int]
    eos_token_ids: tuple[int, ...]


def load_vocabulary(model_path: Path, size: int) -> Vocabulary:
    """The vocabulary of a model of `size` token ids, which may be more than its tokenizer has.

    Raises CheckpointError where there is no tokenizer or it cannot be used.
    """
    from pagoda.text.load import load_tokenizer  # takes a while to import, and few requests need it

    tokenizer = load_tokenizer(model_path)
    tokens = [tokenizer.token_bytes(index) for index in range(min(size, tokenizer.vocab_size))]
    tokens += [b""] * (size - len(tokens))
    special = frozenset(index for index in tokenizer.special_ids if index < size)
    return Vocabulary(tokens, special, tuple(i for i in tokenizer.eos_token_ids if i < size))
