"""A model's tokenizer: text to token ids and back, and the facts about special tokens that serving needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pagoda.text.token_bytes import Spelling

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

_SHORT_TEXT = 2048  #: characters: done before another thread would have begun
_PIECE = 65_536  #: characters that are cut into tokens at once where they are only counted


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text, or two joined, in tokens. sources: 0 or 1 for the tokens of each text, None for tokens that the
    model wants around them. segments: what the model is told, 1 from the second text on where it tells them
    apart.
    """

    ids: list[int]
    sources: list[int | None]
    segments: list[int]


class Tokenizer:
    """Wraps a `tokenizers.Tokenizer`; safe to share between threads.

    eos_token_ids: tokens that end an answer. special_ids: tokens that are left out of decoded text.
    bos_token, eos_token: their text for chat templates, "" where there is none.
    """

    def __init__(
        self,
        backend: Backend,
        spelling: Spelling,
        *,
        bos_token_id: int | None = None,
        eos_token_ids: Iterable[int] = (),
        chat_template: str | None = None,
    ) -> None:
        self._backend = backend
        self._spelling = spelling
        self._bytes: dict[int, bytes] = {}
        self.vocab_size: int = backend.get_vocab_size(with_added_tokens=True)
        self.special_ids: frozenset[int] = frozenset(
            index for index, token in backend.get_added_tokens_decoder().items() if token.special
        )
        self.bos_token_id = bos_token_id
        self.eos_token_ids: tuple[int, ...] = tuple(dict.fromkeys(eos_token_ids))
        self.chat_template = chat_template
        self.bos_token = self.id_to_token(bos_token_id) or "" if bos_token_id is not None else ""
        self.eos_token = self.id_to_token(self.eos_token_ids[0]) or "" if self.eos_token_ids else ""

    @property
    def strips_first_space(self) -> bool:
        """Whether text that starts with the first token loses one leading space (SentencePiece)."""
        return self._spelling.strips_first_space

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Token ids of `text`; special tokens written out in it become their ids.

        add_special_tokens: add what the model expects around a text, such as a leading bos token.
        Raises ValueError for text that is not Unicode (lone surrogates).
        """
        try:
            if len(text) < _SHORT_TEXT:
                ids: list[int] = self._backend.encode(text, add_special_tokens=add_special_tokens).ids
            else:  # lets other threads run meanwhile, and keeps no record of where each token came from
                ids = self._backend.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0].ids
        except (UnicodeEncodeError, TypeError) as error:
            raise ValueError("the text is not valid Unicode: it contains lone surrogates") from error
        return ids

    def count_up_to(self, text: str, most: int) -> int:
        """About how many tokens a text has, counted in pieces and no further than `most` is exceeded. Each
        border between two pieces may add a few tokens or hide them.

        Raises ValueError for text that is not Unicode (lone surrogates).
        """
        count = 0
        for begin in range(0, len(text), _PIECE):
            count += len(self.encode(text[begin : begin + _PIECE], add_special_tokens=False))
            if count > most:
                break
        return count

    def encode_texts(self, texts: Sequence[str | tuple[str, str]]) -> list[EncodedText]:
        """Several texts, or pairs of them, with the tokens that the model expects around them.

        Raises ValueError for text that is not Unicode (lone surrogates).
        """
        try:
            found = self._backend.encode_batch(list(texts), add_special_tokens=True)
        except (UnicodeEncodeError, TypeError) as error:
            raise ValueError("the text is not valid Unicode: it contains lone surrogates") from error
        return [EncodedText(one.ids, one.sequence_ids, one.type_ids) for one in found]

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of `ids`; bytes that are no UTF-8 come out as U+FFFD, ids outside the vocabulary as
        nothing.
        """
        special = self.special_ids if skip_special_tokens else frozenset()
        text = b"".join(self.token_bytes(index) for index in ids if index not in special).decode(
            "utf-8", "replace"
        )
        return text[1:] if self.strips_first_space and text.startswith(" ") else text

    def token_bytes(self, index: int) -> bytes:
        """The bytes a token stands for; a character may span several tokens."""
        known = self._bytes.get(index)
        if known is None:
            token = self.id_to_token(index)
            known = self._bytes[index] = self._spelling.token_bytes(token) if token is not None else b""
        return known

    def token_text(self, index: int) -> str:
        """The text of a single token, as log-probabilities report it; U+FFFD for a part of a character."""
        return self.token_bytes(index).decode("utf-8", "replace")

    def id_to_token(self, index: int) -> str | None:
        """The token as the vocabulary spells it; None outside the vocabulary."""
        if not 0 <= index < 2**32:
            return None
        token: str | None = self._backend.id_to_token(index)
        return token

    def token_to_id(self, token: str) -> int | None:
        index: int | None = self._backend.token_to_id(token)
        return index
