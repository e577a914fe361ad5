"""What the next token of one request may be: the end of its reasoning when the budget is spent, and its
grammar.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pagoda.engine.messages import AddRequest
from pagoda.engine.reasoning_watch import ReasoningWatch
from pagoda.engine.structured_outputs import GrammarError


class Guide:
    """Follows a request's output. A grammar begins where the reasoning has ended.

    matcher: the compiled grammar (llguidance.LLMatcher), this request's own, once `begin` has set it.
    complete: the grammar is satisfied and nothing can follow. renewed: it is its request's second grammar,
    which may not fail again.
    """

    def __init__(self, reasoning: ReasoningWatch | None, *, has_grammar: bool, renewed: bool = False) -> None:
        self.renewed = renewed
        self.has_grammar = has_grammar
        self.matcher: Any = None
        self.complete = False
        self._reasoning = reasoning

    def begin(self, matcher: Any, generated: Iterable[int]) -> None:
        """Starts with the compiled grammar, or None without one, and walks over what was generated before a
        restart of the engine. Raises GrammarError.
        """
        self.matcher = matcher
        for token_id in generated:
            self.accept(token_id)

    @property
    def grammar_waits(self) -> bool:
        """Whether a grammar will hold, but not yet: the reasoning goes on."""
        watch = self._reasoning
        return self.has_grammar and watch is not None and watch.is_open and not watch.undecided

    @property
    def wants_mask(self) -> bool:
        """Whether the grammar says what may come next."""
        return self.matcher is not None and not self.grammar_waits

    @property
    def may_open_with(self) -> int | None:
        """A token that may come next beside those of the grammar: it would begin the reasoning."""
        return None if self._reasoning is None else self._reasoning.may_open_with

    def forced(self) -> int | None:
        """The one token that may come next while reasoning is being ended, or an opening finished."""
        return None if self._reasoning is None else self._reasoning.forced(committed=self.has_grammar)

    def accept(self, token_id: int) -> None:
        """Takes a generated token. Raises GrammarError for one that the grammar does not admit."""
        watch = self._reasoning
        if watch is not None and watch.is_open:
            # What the grammar admits, too, is no opening of the reasoning but the answer.
            if token_id == watch.may_open_with and self._admits(token_id):
                watch.decline()
            elif watch.push(token_id):
                return
        if self.matcher is not None:
            if not self.matcher.consume_token(token_id):
                raise GrammarError(self.problem or "the grammar does not admit a token")
            self.complete = bool(self.matcher.is_stopped())

    def _admits(self, token_id: int) -> bool:
        return self.matcher is not None and self.matcher.validate_tokens([token_id]) == 1

    @property
    def problem(self) -> str | None:
        """Why the grammar cannot go on; None while it can."""
        if self.matcher is None or not self.matcher.is_error():
            return None
        reason = " ".join(self.matcher.get_error().replace("<non-verbose/>", "").split())
        return f"the grammar cannot go on: {reason[:300]}"


def make_guide(command: AddRequest, *, renewed: bool = False) -> Guide | None:
    """The guide of a request; None for one that needs none. One without a grammar has begun already."""
    params, reasoning = command.params, command.reasoning
    budget = None if params.thinking_token_budget == -1 else params.thinking_token_budget
    has_grammar = params.structured_outputs is not None
    watch = None
    if reasoning is not None and reasoning.in_reasoning and (has_grammar or budget is not None):
        watch = ReasoningWatch(reasoning, budget)
    if watch is None and not has_grammar:
        return None
    guide = Guide(watch, has_grammar=has_grammar, renewed=renewed)
    if not has_grammar:
        guide.begin(None, command.generated)
    return guide
