"""The process that compiles constraints on trial: what passes, what does not, and what brings it down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.helpers.schemas import FAR, MINUTES

from pagoda.engine.grammar_process import GrammarProcess
from pagoda.engine.structured_outputs import GrammarError, StructuredOutputsParams


@pytest.fixture
def process() -> Iterator[GrammarProcess]:
    process = GrammarProcess()
    yield process
    process.close()


def schema(value: dict[str, Any]) -> StructuredOutputsParams:
    return StructuredOutputsParams(json=value)


def test_many_are_checked_by_one(process: GrammarProcess) -> None:
    process.check(schema({"type": "object"}), 30)
    with pytest.raises(GrammarError, match="Invalid type: nope"):
        process.check(schema({"type": "nope"}), 30)
    process.check(StructuredOutputsParams(regex="[a-z]+"), 30)
    assert process.alive


def test_what_takes_too_long_is_given_up(process: GrammarProcess) -> None:
    with pytest.raises(GrammarError, match=r"longer than 0\.2 s to compile"):
        process.check(schema(MINUTES), 0.2)
    assert not process.alive


def test_what_crashes_the_compiler_is_refused(process: GrammarProcess) -> None:
    with pytest.raises(GrammarError, match="too complex to be compiled"):
        process.check(schema(FAR), 30)
    assert not process.alive
