"""`tiktoken` as functions use it: tokens are those of the model that is served, counted by the server."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

from pagoda.workspace.functions.plugin_process.peer import ask_now

__all__ = ["Encoding", "encoding_for_model", "encoding_name_for_model", "get_encoding", "list_encoding_names"]


class Encoding:
    """A served model's tokenizer. name: the model's, or that of a tokenizer that stands for it."""

    def __init__(self, name: str, model: str | None = None) -> None:
        self.name = name
        self._model = model
        self._n_vocab: int | None = None

    def __repr__(self) -> str:
        return f"<Encoding {self.name!r}>"

    @property
    def n_vocab(self) -> int:
        if self._n_vocab is None:
            self._n_vocab = int(ask_now("tokenizer.size", model=self._model))
        return self._n_vocab

    @property
    def max_token_value(self) -> int:
        return self.n_vocab - 1

    def encode(
        self,
        text: str,
        *,
        allowed_special: Literal["all"] | Collection[str] = (),
        disallowed_special: Literal["all"] | Collection[str] = (),
    ) -> list[int]:
        """Its tokens, without those that begin or end a prompt. Raises TypeError for anything but text."""
        return self.encode_batch([text])[0]

    def encode_ordinary(self, text: str) -> list[int]:
        return self.encode(text)

    def encode_batch(self, text: Sequence[str], **_options: Any) -> list[list[int]]:
        if not all(isinstance(each, str) for each in text):
            raise TypeError("expected string or buffer")
        found: list[list[int]] = ask_now("tokenizer.encode", model=self._model, texts=list(text))
        return found

    def encode_ordinary_batch(self, text: Sequence[str], **_options: Any) -> list[list[int]]:
        return self.encode_batch(text)

    def decode(self, tokens: Sequence[int], errors: str = "replace") -> str:
        found: str = ask_now("tokenizer.decode", model=self._model, tokens=list(tokens))
        return found

    def decode_batch(self, batch: Sequence[Sequence[int]], **_options: Any) -> list[str]:
        return [self.decode(tokens) for tokens in batch]


def encoding_for_model(model_name: str) -> Encoding:
    """The tokenizer of this model where the server has it, else that of the model it serves first."""
    return Encoding(model_name, model_name)


def encoding_name_for_model(model_name: str) -> str:
    return model_name


def get_encoding(encoding_name: str) -> Encoding:
    """Whatever encoding is named: the tokenizer of the model that is served first."""
    return Encoding(encoding_name)


def list_encoding_names() -> list[str]:
    return ["cl100k_base", "o200k_base", "p50k_base", "r50k_base"]
