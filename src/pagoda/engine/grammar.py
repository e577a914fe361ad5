"""Grammars as the server process sees them: whether one can be compiled."""

from __future__ import annotations

from pagoda.engine.structured_outputs import ParameterError, StructuredOutputsParams


class GrammarError(ParameterError):
    """A constraint that cannot be compiled; one line for the user."""


def check_grammar(params: StructuredOutputsParams) -> None:
    """Compiles a constraint to see whether that is possible, without a tokenizer. Raises GrammarError.

    Blocks for up to a second: call it in a thread.
    """
