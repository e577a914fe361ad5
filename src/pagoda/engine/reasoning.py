"""How the engine is told where a prompt's reasoning ends, for grammars and thinking budgets."""

from __future__ import annotations

from pagoda.engine.messages import ReasoningTokens
from pagoda.text.reasoning import END, START, begins_reasoning
from pagoda.text.tokenizer import Tokenizer


def reasoning_tokens(
    reasoning: str | None, tokenizer: Tokenizer, prompt: str, thinking: bool | None
) -> ReasoningTokens | None:
    """None without a reasoning parser, or where the tokenizer cannot write the tags.

    prompt, thinking: as for make_answer_parser. Where neither says whether the model thinks, its answer does,
    by opening its reasoning itself or not (deepseek_r1's models need not open it).
    """
    if reasoning is None:
        return None
    start = tokenizer.encode(START, add_special_tokens=False)
    end = tokenizer.encode(END, add_special_tokens=False)
    if not end:
        return None
    surely = begins_reasoning(reasoning, prompt, thinking)
    perhaps = begins_reasoning(reasoning, prompt, thinking, True)
    return ReasoningTokens(tuple(start), tuple(end), perhaps, optional=perhaps and not surely)
