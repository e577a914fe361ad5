"""Tokens where no model of this server's own has a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

_BYTES = 4


class ByteTokens:
    """Stands in for a tokenizer: every four bytes of UTF-8 are a token. It counts nothing exactly, and who
    uses it says so in the log.
    """

    def encode(self, _model: str | None, text: str) -> list[int]:
        data = text.encode("utf-8", "replace")
        return [
            int.from_bytes(b"\x01" + data[start : start + _BYTES]) for start in range(0, len(data), _BYTES)
        ]

    def decode(self, _model: str | None, tokens: Sequence[int]) -> str:
        pieces = [each.to_bytes(_BYTES + 1).lstrip(b"\x00")[1:] for each in tokens if 0 < each < 2 << 32]
        return b"".join(pieces).decode("utf-8", "replace")

    def size(self, _model: str | None) -> int:
        return 2 << 32
