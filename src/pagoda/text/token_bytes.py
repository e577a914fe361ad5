"""The bytes that each token of a vocabulary stands for.

A decoder that knows every token's bytes decodes a stream token by token with no look back: bytes are joined
and read as UTF-8, so characters that span tokens come out whole.
"""

from __future__ import annotations

import re
from typing import Any

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "\u2581"  # SentencePiece's visible space
_CLOSING = frozenset(".,?!")  # written without a space before them


def byte_level_alphabet() -> dict[str, int]:
    """GPT-2's alphabet: the printable character that each byte is written as in a byte-level vocabulary.

    Printable Latin-1 bytes stand for themselves, the others are numbered from U+0100 in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    alphabet = {chr(byte): byte for byte in printable}
    alphabet.update({chr(0x100 + index): byte for index, byte in enumerate(others)})
    return alphabet


class ByteLevelSpelling:
    """Byte-level BPE (GPT-2, Llama 3, Qwen, SmolLM): each character of a token is one byte."""

    strips_first_space = False

    def __init__(self) -> None:
        self._alphabet = byte_level_alphabet()

    def token_bytes(self, token: str) -> bytes:
        try:
            return bytes([self._alphabet[character] for character in token])
        except KeyError:  # an added token, written as it is
            return token.encode("utf-8", "replace")


class SentencePieceSpelling:
    """SentencePiece with byte fallback (Llama 2, Mistral): visible spaces, and `<0xHH>` for single bytes."""

    def __init__(self, *, strips_first_space: bool) -> None:
        self.strips_first_space = strips_first_space

    def token_bytes(self, token: str) -> bytes:
        if match := _BYTE_TOKEN.fullmatch(token):
            return bytes([int(match[1], 16)])
        return token.replace(_SPACE, " ").encode("utf-8", "replace")


class WordPieceSpelling:
    """WordPiece (BERT): a token begins a word, or goes on with one after a prefix such as "##"."""

    strips_first_space = True

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def token_bytes(self, token: str) -> bytes:
        if self._prefix and token.startswith(self._prefix):
            return token.removeprefix(self._prefix).encode("utf-8", "replace")
        joined = token in _CLOSING
        return (token if joined else " " + token).encode("utf-8", "replace")


Spelling = ByteLevelSpelling | SentencePieceSpelling | WordPieceSpelling


def spelling_of(decoder: dict[str, Any] | None) -> Spelling | None:
    """The spelling that a tokenizer.json's `decoder` section describes; None for one that is not known."""
    parts = _flatten(decoder)
    kinds = {str(part.get("type")) for part in parts}
    if kinds == {"ByteLevel"}:
        return ByteLevelSpelling()
    if kinds == {"WordPiece"}:
        return WordPieceSpelling(str(parts[0].get("prefix", "##")))
    if "Metaspace" in kinds:
        scheme = next(
            part.get("prepend_scheme", "always") for part in parts if part.get("type") == "Metaspace"
        )
        return SentencePieceSpelling(strips_first_space=scheme != "never")
    if "ByteFallback" in kinds and kinds <= {"Replace", "ByteFallback", "Fuse", "Strip"}:
        return SentencePieceSpelling(strips_first_space="Strip" in kinds)
    return None


def _flatten(decoder: dict[str, Any] | None) -> list[dict[str, Any]]:
    if not isinstance(decoder, dict):
        return []
    if decoder.get("type") == "Sequence":
        return [leaf for part in decoder.get("decoders", []) for leaf in _flatten(part)]
    return [decoder]
