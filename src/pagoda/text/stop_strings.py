"""Finds the first of several stop strings in a stream of characters (Aho and Corasick, 1975)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable


class StopStringMatcher:
    """An automaton fed one character at a time; its state is independent of how the text is cut.

    `held` is the length of the longest end of the text so far that begins some stop string: what must not be
    sent yet.
    """

    def __init__(self, stop: Iterable[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._fail = [0]
        self._depth = [0]
        self._match: list[str | None] = [None]
        self._state = 0
        for text in stop:
            self._add(text)
        self._link()

    def _add(self, text: str) -> None:
        state = 0
        for character in text:
            if character not in self._next[state]:
                self._next[state][character] = len(self._next)
                self._next.append({})
                self._fail.append(0)
                self._depth.append(self._depth[state] + 1)
                self._match.append(None)
            state = self._next[state][character]
        self._match[state] = text

    def _link(self) -> None:
        queue = deque(self._next[0].values())
        while queue:
            state = queue.popleft()
            for character, child in self._next[state].items():
                self._fail[child] = self._step(self._fail[state], character)
                if self._match[child] is None:  # a shorter stop string may end here
                    self._match[child] = self._match[self._fail[child]]
                queue.append(child)

    def _step(self, state: int, character: str) -> int:
        while state and character not in self._next[state]:
            state = self._fail[state]
        return self._next[state].get(character, 0)

    @property
    def held(self) -> int:
        return self._depth[self._state]

    def feed(self, character: str) -> str | None:
        """The stop string that ends with `character`, the longest if several do."""
        self._state = self._step(self._state, character)
        return self._match[self._state]
