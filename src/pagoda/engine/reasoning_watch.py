"""Where a model's reasoning ends in an answer, and the end that a budget forces."""

from __future__ import annotations

from pagoda.engine.messages import ReasoningTokens


class ReasoningWatch:
    """Follows the tokens of one answer that may begin with reasoning.

    budget: tokens of reasoning, without its opening, after which the end tokens are forced; None: no limit.
    is_open: the reasoning goes on. undecided: whether there is any is not clear yet (it is optional, and its
    opening has not come, or not wholly).
    """

    def __init__(self, tokens: ReasoningTokens, budget: int | None) -> None:
        self.is_open = True
        self.undecided = tokens.optional and bool(tokens.start_token_ids)
        self._start = tokens.start_token_ids
        self._end = tokens.end_token_ids
        self._budget = budget
        self._count = 0
        self._opening = 0  # how many of the start tokens the answer begins with
        self._matched = 0  # how many of the end tokens it ends with

    @property
    def may_open_with(self) -> int | None:
        """The token that would begin an optional reasoning now, at the beginning of the answer."""
        return self._start[0] if self.undecided and self._opening == 0 else None

    def push(self, token_id: int) -> bool:
        """Takes the next token while the reasoning is open; False for one that shows that there is none."""
        if self._opening == self._count < len(self._start) and token_id == self._start[self._opening]:
            self._opening += 1
        elif self.undecided:
            self.decline()
            return False
        self._count += 1
        self.undecided = self.undecided and self._opening < len(self._start)
        tail = (*self._end[: self._matched], token_id)
        self._matched = next(
            size for size in range(len(tail), -1, -1) if tail[len(tail) - size :] == self._end[:size]
        )
        self.is_open = self._matched < len(self._end)
        return True

    def decline(self) -> None:
        """The answer has no reasoning."""
        self.undecided = self.is_open = False

    def forced(self, *, committed: bool) -> int | None:
        """The token that must come next: the end when the budget is spent, and the rest of an opening when
        nothing else may begin so (`committed`). An optional reasoning without any budget is opened and ended.
        """
        if not self.is_open:
            return None
        if self.undecided:
            return self._start[self._opening] if self._budget == 0 or (committed and self._opening) else None
        opened = self._opening if self._opening == len(self._start) else 0
        if self._budget is None or self._count - opened < self._budget:
            return None
        return self._end[self._matched]
