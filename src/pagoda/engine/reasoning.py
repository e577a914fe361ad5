"""How the engine is told where a prompt's reasoning ends, for grammars and thinking budgets."""

from __future__ import annotations

from pagoda.engine.messages import ReasoningTokens
from pagoda.text.reasoning import END, START, begins_reasoning
from pagoda.text.tokenizer import Tokenizer


def reasoning_tokens(
    reasoning: str | None, tokenizer: Tokenizer, prompt: str, thinking: bool | None
) -> ReasoningTokens | None:
    """None without a reasoning parser, or where the tokenizer cannot write the tags.

    prompt, thinking: as for make_answer_parser. Where neither says whether the model thinks, it is taken to:
    a model with such a parser opens its reasoning itself.
    """
    if reasoning is None:
        return None
    start = tokenizer.encode(START, add_special_tokens=False)
    end = tokenizer.encode(END, add_special_tokens=False)
    if not end:
        return None
    return ReasoningTokens(tuple(start), tuple(end), begins_reasoning(reasoning, prompt, thinking, True))
