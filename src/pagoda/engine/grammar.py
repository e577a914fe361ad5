"""Grammars as the server process sees them: whether one can be compiled, told before the engine has it."""

from __future__ import annotations

import re
import time
from functools import cache, lru_cache
from itertools import product
from typing import Any

from pagoda.engine.grammar_text import grammar_text, one_line
from pagoda.engine.structured_outputs import GrammarError, StructuredOutputsParams

__all__ = ["GrammarError", "check_grammar", "parser_limits"]

_TRIAL_STEPS = 64  #: tokens that a trial writes
_TRIAL_SECONDS = 0.25
_REMEMBERED_TEXT = 32 * 1024  #: characters of the longest text that is remembered
#: the keywords of JSON Schema that may be left out: the result is only a little wider
_MAY_BE_LEFT_OUT = frozenset({"uniqueItems"})
_UNIMPLEMENTED = re.compile(r"Unimplemented keys: \[(.*)\]")


def parser_limits(*, precompute: bool = True) -> Any:
    """What one grammar may cost: the library's own limits, about 20 ms of work for a token and 130 MB of
    lexer states.
    """
    import llguidance  # loaded with the first constraint: a server starts sooner

    return llguidance.LLParserLimits(precompute_large_lexemes=precompute, verbose_errors=False)


def check_grammar(params: StructuredOutputsParams) -> None:
    """Compiles a constraint and writes a little text under it, without the model's tokenizer. Raises
    GrammarError for what cannot be compiled, admits no text or costs too much.

    Blocks for up to a second: call it in a thread. Constraints that passed are remembered.
    """
    text = grammar_text(params)
    if len(text) <= _REMEMBERED_TEXT:
        _check_remembered(text)
    else:
        _check_text(text)


@lru_cache(maxsize=256)
def _check_remembered(text: str) -> None:
    _check_text(text)


def _check_text(text: str) -> None:
    import llguidance

    failed, messages = llguidance.LLMatcher.validate_grammar_with_warnings(text, limits=parser_limits())
    if failed:
        raise GrammarError(f"The constraint cannot be compiled: {one_line(messages[0])}")
    unsupported = {key for message in messages for key in _left_out(message) if key not in _MAY_BE_LEFT_OUT}
    if unsupported:
        named = ", ".join(sorted(unsupported))
        raise GrammarError(f"The JSON Schema uses keywords that are not supported: {named}.")
    if not any("special_token" in message for message in messages):  # those need the model's tokenizer
        _try_writing(text)


def _left_out(message: str) -> list[str]:
    found = _UNIMPLEMENTED.search(message)
    return [key.strip().strip('"') for key in found[1].split(",")] if found else []


def _try_writing(text: str) -> None:
    """Takes one allowed token after the other, by a fixed rule, to see a grammar that is too complex fail."""
    import llguidance

    matcher = llguidance.LLMatcher(_trial_tokenizer(), text, limits=parser_limits(), log_level=0)
    give_up = time.monotonic() + _TRIAL_SECONDS
    for step in range(_TRIAL_STEPS):
        if matcher.is_stopped() or time.monotonic() > give_up:
            break
        mask = int.from_bytes(matcher.compute_bitmask(), "little") & ~(1 << _TrialVocabulary.eos_token_id)
        allowed = [token for token in range(len(_TrialVocabulary.tokens)) if mask >> token & 1]
        if not allowed:
            break
        matcher.consume_token(allowed[(step * 7 + 3) % len(allowed)])
    if matcher.is_error():
        reason = matcher.get_error()
        if "NoExtensionBias" in reason:
            raise GrammarError("The constraint cannot be compiled: no text meets it.")
        raise GrammarError(f"The constraint is too complex: {one_line(reason)}")


class _TrialVocabulary:
    """A small vocabulary in place of a model's: every byte, pairs of letters, and runs of one character."""

    eos_token_id = 0
    bos_token_id = None
    special_token_ids = (0,)
    tokens = (
        b"<eos>",
        *(bytes([byte]) for byte in range(256)),
        *(bytes(pair) for pair in product(range(0x61, 0x7B), repeat=2)),
        *(bytes([byte]) * count for byte in range(0x20, 0x7F) for count in (2, 4, 8, 16)),
    )

    def __call__(self, text: bytes | str) -> list[int]:
        data = text.encode() if isinstance(text, str) else text
        return [1 + byte for byte in data]


@cache
def _trial_tokenizer() -> Any:
    import llguidance

    return llguidance.LLTokenizer(llguidance.TokenizerWrapper(_TrialVocabulary()))
