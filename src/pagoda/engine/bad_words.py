"""Texts that must not be written, as the tokens that would complete them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagoda.text.tokenizer import Tokenizer


def bad_words_token_ids(words: Iterable[str], tokenizer: Tokenizer) -> list[list[int]]:
    """Each word in tokens as it is written at the start of a text, and after a space where that differs."""
    found: dict[tuple[int, ...], None] = {}
    for word in words:
        text = word.lstrip()
        for spelled in (text, f" {text}"):
            token_ids = tokenizer.encode(spelled, add_special_tokens=False)
            if token_ids:
                found[tuple(token_ids)] = None
    return [list(token_ids) for token_ids in found]


class BadWords:
    """Which tokens would complete a bad word, given what was generated so far.

    `always`: words of one token. The others are found by the last token of their beginning, so that the work
    for a token does not grow with the number of words.
    """

    def __init__(self, words: Iterable[Sequence[int]]) -> None:
        self.always: tuple[int, ...] = ()
        self._by_last: dict[int, list[tuple[list[int], int]]] = {}
        for word in words:
            *beginning, last = word
            if beginning:
                self._by_last.setdefault(beginning[-1], []).append((beginning, last))
            else:
                self.always += (last,)

    def __bool__(self) -> bool:
        """Whether there are words of several tokens."""
        return bool(self._by_last)

    def after(self, output_token_ids: Sequence[int]) -> list[int]:
        """The tokens that would complete a word of several tokens now."""
        if not output_token_ids:
            return []
        return [
            last
            for beginning, last in self._by_last.get(output_token_ids[-1], ())
            if list(output_token_ids[-len(beginning) :]) == beginning
        ]
