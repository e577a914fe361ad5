"""Turns a request's tokens into text as they come, and ends it at stop strings."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from pagoda.text.stop_strings import StopStringMatcher
from pagoda.text.tokenizer import Tokenizer


class IncrementalDetokenizer:
    """The text of one answer, piece by piece; work per token does not depend on what came before.

    The pieces of `push` and the rest that `finish` gives, joined, are `tokenizer.decode` of all tokens,
    however the tokens were cut into pushes. A character is sent when its last byte has come. Text that may be
    the beginning of a stop string is held back until it is certain, so no part of a stop string is ever sent.
    The first stop string to be
    complete ends the answer: `stopped` names it, the text ends before it (after it with
    `include_stop_str_in_output`), and tokens after the one that completed it are ignored. Stop strings count
    only in text that comes after `min_tokens` tokens. With a SentencePiece vocabulary and a prompt the text
    continues the prompt: a leading space stays.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt_token_ids: Sequence[int],
        *,
        skip_special_tokens: bool = True,
        stop: Sequence[str] = (),
        include_stop_str_in_output: bool = False,
        min_tokens: int = 0,
    ) -> None:
        self._token_bytes = tokenizer.token_bytes
        self._skipped = tokenizer.special_ids if skip_special_tokens else frozenset()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._strip_space = tokenizer.strips_first_space and len(prompt_token_ids) == 0
        self._matcher = StopStringMatcher(stop) if stop else None
        self._include_stop = include_stop_str_in_output
        self._min_tokens = min_tokens
        self._pending = False  # whether a character has begun and not ended
        self._held = ""
        self._pieces: list[str] = []
        self._shortcut = self._matcher is None and not self._strip_space
        self.num_tokens = 0  #: tokens taken so far, including the one that completed a stop string
        self.stopped: str | None = None

    @property
    def text(self) -> str:
        """All text sent so far."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def push(self, token_ids: Sequence[int]) -> str:
        """The new text that is safe to send; "" after a stop string."""
        if self._shortcut and len(token_ids) == 1 and not self._pending:  # the usual case, in few steps
            data = b"" if token_ids[0] in self._skipped else self._token_bytes(token_ids[0])
            if data.isascii():
                self.num_tokens += 1
                text = data.decode("ascii")
                self._pieces.append(text)
                return text
        if self._matcher is None:
            self.num_tokens += len(token_ids)
            return self._send(self._decode(b"".join(map(self._bytes_of, token_ids))))
        sent = ""
        for index in token_ids:
            if self.stopped is not None:
                break
            self.num_tokens += 1
            sent += self._release(self._decode(self._bytes_of(index)), self._matcher)
        return self._send(sent)

    def finish(self) -> str:
        """What was held back; call once, when no more tokens come."""
        if self.stopped is not None:
            return ""
        rest = self._decode(b"", final=True)
        if self._matcher is not None:
            rest = self._release(rest, self._matcher)
            if self.stopped is None:
                rest += self._held
            self._held = ""
        return self._send(rest)

    def _bytes_of(self, index: int) -> bytes:
        return b"" if index in self._skipped else self._token_bytes(index)

    def _decode(self, data: bytes, *, final: bool = False) -> str:
        text = self._decoder.decode(data, final)
        self._pending = bool(self._decoder.getstate()[0])
        if self._strip_space and text:
            self._strip_space = False
            return text.removeprefix(" ")
        return text

    def _send(self, text: str) -> str:
        if text:
            self._pieces.append(text)
        return text

    def _release(self, text: str, matcher: StopStringMatcher) -> str:
        """Feeds new text to the matcher; gives what cannot belong to a stop string any more."""
        if self.num_tokens <= self._min_tokens:
            return text
        pending = self._held + text
        for position, character in enumerate(text, start=len(self._held) + 1):
            found = matcher.feed(character)
            if found is not None:
                self.stopped = found
                self._held = ""
                return pending[: position if self._include_stop else position - len(found)]
        keep = matcher.held
        self._held = pending[len(pending) - keep :]
        return pending[: len(pending) - keep]
