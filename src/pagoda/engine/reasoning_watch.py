"""Where a model's reasoning ends in an answer, and the end that a budget forces."""

from __future__ import annotations

from pagoda.engine.messages import ReasoningTokens


class ReasoningWatch:
    """Follows the tokens of one answer that begins inside the reasoning.

    budget: tokens of reasoning, without its opening, after which the end tokens are forced; None: no limit.
    """

    def __init__(self, tokens: ReasoningTokens, budget: int | None) -> None:
        self.is_open = True
        self._start = tokens.start_token_ids
        self._end = tokens.end_token_ids
        self._budget = budget
        self._count = 0
        self._opening = 0  # how many of the start tokens the answer begins with
        self._matched = 0  # how many of the end tokens it ends with

    def push(self, token_id: int) -> None:
        """Takes the next token while the reasoning is open."""
        if self._opening == self._count < len(self._start) and token_id == self._start[self._opening]:
            self._opening += 1
        self._count += 1
        tail = (*self._end[: self._matched], token_id)
        self._matched = next(
            size for size in range(len(tail), -1, -1) if tail[len(tail) - size :] == self._end[:size]
        )
        self.is_open = self._matched < len(self._end)

    def forced(self) -> int | None:
        """The token that must come next, if the budget is spent."""
        if not self.is_open or self._budget is None:
            return None
        opened = self._opening if self._opening == len(self._start) else 0
        return self._end[self._matched] if self._count - opened >= self._budget else None
