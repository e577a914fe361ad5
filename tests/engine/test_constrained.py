"""Requests under grammars, reasoning budgets and other constraints, in the engine's loop.

The toy executor's logits are a hash of the context: an adversary that knows nothing of any grammar.
"""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.toy import (
    END_THINK,
    EOS,
    TEXTS,
    THINK,
    VOCAB,
    add,
    run,
    text_of,
    tokens,
    toy_engine,
    toy_vocabulary,
)
from tests.helpers.models import tiny_gguf

from pagoda.engine.config import EngineConfig
from pagoda.engine.core import EngineCore
from pagoda.engine.grammar_compiler import GrammarCompiler
from pagoda.engine.guide import Guide
from pagoda.engine.messages import ReasoningTokens, TokenDelta
from pagoda.engine.params import RepetitionDetectionParams, StructuredOutputsParams
from pagoda.engine.vocabulary import Vocabulary
from pagoda.text.load import load_tokenizer
from pagoda.weights.checkpoint import CheckpointError

REASONING = ReasoningTokens((THINK,), (END_THINK,), in_reasoning=True)


def grammar(**constraint: Any) -> dict[str, Any]:
    return {"structured_outputs": StructuredOutputsParams(**constraint), "eos_token_ids": (EOS,)}


def answer(request_id: str = "r", **params: Any) -> tuple[str, list[TokenDelta]]:
    engine, _ = toy_engine()
    deltas = run(engine, add(request_id, [1, 2, 3], **params))[request_id]
    return text_of(tokens(deltas)), deltas


@st.composite
def schemas(draw: st.DrawFn, depth: int = 2) -> dict[str, Any]:
    """JSON Schemas of the kinds that people write, small enough for answers to end."""
    scalars: list[st.SearchStrategy[dict[str, Any]]] = [
        st.just({"type": "boolean"}),
        st.just({"type": "null"}),
        st.integers(-50, 50).flatmap(
            lambda low: st.integers(low, 99).map(
                lambda high: {"type": "integer", "minimum": low, "maximum": high}
            )
        ),
        st.integers(0, 6).map(lambda most: {"type": "string", "maxLength": most}),
        st.just({"type": "string", "pattern": "^[a-c]{1,3}$"}),
        st.lists(st.sampled_from(["a", 'b"', "é", 1, 2.5, None, True]), min_size=1, unique_by=repr).map(
            lambda values: {"enum": values}
        ),
        st.just({"const": {"a": [1, "x"]}}),
        st.just({"type": "string", "format": "date"}),
    ]
    if depth == 0:
        return draw(st.one_of(scalars))
    inner = schemas(depth - 1)
    arrays = st.builds(
        lambda items, least, more: {
            "type": "array", "items": items, "minItems": least, "maxItems": least + more
        },
        inner, st.integers(0, 2), st.integers(0, 2),
    )  # fmt: skip
    objects = st.builds(
        lambda properties, required: {
            "type": "object",
            "properties": properties,
            "required": [name for name in properties if name in required],
            "additionalProperties": False,
        },
        st.dictionaries(st.sampled_from(["a", "bc", "e f"]), inner, max_size=3),
        st.sets(st.sampled_from(["a", "bc", "e f"])),
    )
    choices = st.lists(inner, min_size=1, max_size=3).map(lambda several: {"anyOf": several})
    return draw(st.one_of(*scalars, arrays, objects, choices))


@settings(max_examples=100, deadline=None)
@given(schemas(), st.sampled_from([0.0, 1.0, 5.0]), st.integers(0, 2**32))
def test_json_that_ends_meets_its_schema(schema: dict[str, Any], temperature: float, seed: int) -> None:
    text, deltas = answer(
        max_tokens=200,
        temperature=temperature,
        seed=seed,
        **grammar(json=schema, disable_any_whitespace=True),
    )
    assert deltas[-1].finish_reason in ("stop", "length"), deltas[-1].error
    if deltas[-1].finish_reason == "stop":
        jsonschema.validate(json.loads(text), schema)


def test_most_json_ends() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 5}, "b": {"enum": [1, 2]}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    ends = [
        answer(max_tokens=200, temperature=1.0, seed=seed, **grammar(json=schema))[1][-1].finish_reason
        for seed in range(20)
    ]
    assert ends.count("stop") >= 15


@pytest.mark.parametrize("pattern", [r"[0-9]{3}-[abc]+x", r"(ab|ba){2,4}", r"\{[^}]{0,9}\}", r"é|ab"])
def test_text_meets_its_regex(pattern: str) -> None:
    for seed in range(10):
        text, deltas = answer(max_tokens=250, temperature=1.0, seed=seed, **grammar(regex=pattern))
        if deltas[-1].finish_reason == "stop":
            assert re.fullmatch(pattern, text)
        else:
            assert deltas[-1].finish_reason == "length"


CHOICES = ["a", "ab", "abc 12", "the end", "null", "é"]


def allowed_after(text: bytes, choices: list[str]) -> list[bool]:
    """Which toy tokens keep a text the beginning of a choice, and whether it may end: by trying all."""
    wanted = [choice.encode() for choice in choices]
    spelled = toy_vocabulary().tokens
    allowed = [bool(token) and any(choice.startswith(text + token) for choice in wanted) for token in spelled]
    allowed[EOS] = text in wanted
    return allowed


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(CHOICES), min_size=1, unique=True), st.randoms(use_true_random=False))
def test_masks_are_those_of_trying_every_token(choices: list[str], random: Any) -> None:
    compiler = GrammarCompiler(toy_vocabulary, VOCAB)
    guide = Guide(None, has_grammar=True)
    matcher = compiler.compile(StructuredOutputsParams(choice=tuple(choices)), (EOS,)).result()
    guide.begin(matcher.deep_copy(), [])
    text = b""
    while not guide.complete:
        masks = compiler.masks([(4, guide)])
        assert masks is not None
        assert masks.rows == [4]
        bits = np.unpackbits(masks.bits[0].view(np.uint8), bitorder="little")[:VOCAB]
        assert bits.astype(bool).tolist() == allowed_after(text, choices)
        token = random.choice([token for token in np.flatnonzero(bits).tolist() if token != EOS] or [EOS])
        if token == EOS:
            break
        guide.accept(token)
        text += TEXTS[token]
    assert text.decode() in choices


def test_a_complete_grammar_ends_the_answer_with_its_last_token() -> None:
    text, deltas = answer(max_tokens=50, **grammar(choice=["the ab"]))
    assert text == "the ab"
    assert deltas[-1].finish_reason == "stop"
    assert deltas[-1].stop_reason is None
    assert deltas[-1].ends_with_text
    assert tokens(deltas)[-1] != EOS


def test_an_answer_that_could_go_on_ends_with_the_end_token() -> None:
    for seed in range(20):
        text, deltas = answer(max_tokens=80, temperature=1.0, seed=seed, **grammar(regex="[ab]+"))
        assert re.fullmatch("[ab]+", text)
        if deltas[-1].finish_reason == "stop":
            assert tokens(deltas)[-1] == EOS
            assert not deltas[-1].ends_with_text
            return
    raise AssertionError("never ended")


def test_ignore_eos_writes_to_the_end_of_the_grammar_or_the_limit() -> None:
    text, deltas = answer(max_tokens=30, temperature=1.0, ignore_eos=True, **grammar(regex="[ab]+"))
    assert deltas[-1].finish_reason == "length"
    assert EOS not in tokens(deltas)
    text, deltas = answer(max_tokens=30, temperature=1.0, ignore_eos=True, **grammar(regex="[ab]{4}"))
    assert deltas[-1].finish_reason == "stop"
    assert len(text) == 4


def test_min_tokens_hold_back_the_end_but_not_that_of_a_complete_grammar() -> None:
    for seed in range(10):
        _, deltas = answer(max_tokens=40, min_tokens=12, temperature=1.0, seed=seed, **grammar(regex="[ab]+"))
        assert len(tokens(deltas)) >= 12
    text, deltas = answer(max_tokens=40, min_tokens=12, **grammar(choice=["null"]))
    assert (text, deltas[-1].finish_reason) == ("null", "stop")


def test_a_limit_that_falls_on_the_last_token_of_a_grammar_is_a_stop() -> None:
    _, deltas = answer(max_tokens=50, **grammar(choice=["abc 12"]))
    exact = len(tokens(deltas))
    _, deltas = answer(max_tokens=exact, **grammar(choice=["abc 12"]))
    assert deltas[-1].finish_reason == "stop"


COMMANDS = [
    add("json", [1, 2, 3], max_tokens=60, temperature=1.0, seed=1, **grammar(json={"type": "object"})),
    add("free", [4, 5, 6], max_tokens=60, temperature=1.0, seed=2),
    add("regex", [7, 8], max_tokens=40, temperature=0.0, **grammar(regex="([a-c]{2},)+")),
    add(
        "bias", [9], max_tokens=40, temperature=1.0, seed=3,
        logit_bias={5: 4.0}, bad_words_token_ids=[[5, 5]],
    ),
    add("choice", [1, 2, 3], max_tokens=40, temperature=1.0, seed=4, **grammar(choice=CHOICES)),
    add(
        "thinks", [3, 3], max_tokens=60, temperature=1.0, seed=5,
        reasoning=REASONING, thinking_token_budget=9, **grammar(json=True),
    ),
    add(
        "may think", [3, 4], max_tokens=60, temperature=5.0, seed=6, thinking_token_budget=9,
        reasoning=ReasoningTokens((THINK,), (END_THINK,), in_reasoning=True, optional=True),
        **grammar(regex="[ab]{9,}"),
    ),
]  # fmt: skip


@pytest.mark.parametrize("shape", [{}, {"num_blocks": 8, "max_model_len": 96}, {"max_num_seqs": 2}])
def test_requests_say_the_same_in_a_crowd_and_after_preemption(shape: dict[str, int]) -> None:
    alone = {
        command.request_id: tokens(run(toy_engine()[0], command)[command.request_id]) for command in COMMANDS
    }
    engine, _ = toy_engine(**shape)
    together = run(engine, *COMMANDS)
    assert {name: tokens(deltas) for name, deltas in together.items()} == alone


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.request_id)
def test_a_replay_goes_on_where_the_answer_was(command: Any) -> None:
    """At every token: what follows is what would have followed."""
    whole = run(toy_engine()[0], command)[command.request_id]
    said = tokens(whole)
    for cut in range(1, len(said), 3):
        replay = msgspec.structs.replace(command, generated=said[:cut])
        rest = run(toy_engine()[0], replay)[command.request_id]
        assert said[:cut] + tokens(rest) == said
        assert rest[-1].finish_reason == whole[-1].finish_reason


def test_a_grammar_waits_for_the_end_of_the_reasoning() -> None:
    for seed in range(5):
        _, deltas = answer(
            max_tokens=200,
            temperature=2.0,
            seed=seed,
            reasoning=REASONING,
            **grammar(choice=["null", "true"]),
        )
        said = tokens(deltas)
        assert EOS not in said, "an answer does not end before its grammar has begun"
        if deltas[-1].finish_reason == "stop":
            end = said.index(END_THINK)
            assert text_of(said[end + 1 :]) in ("null", "true")
            return
    raise AssertionError("the reasoning never ended")


def test_an_ended_reasoning_lets_the_grammar_begin_at_once() -> None:
    over = ReasoningTokens((THINK,), (END_THINK,), in_reasoning=False)
    text, _ = answer(max_tokens=20, reasoning=over, thinking_token_budget=0, **grammar(choice=["null"]))
    assert text == "null"


@pytest.mark.parametrize("budget", [0, 1, 7])
def test_a_budget_ends_the_reasoning(budget: int) -> None:
    end = (TEXTS.index(b"<"), TEXTS.index(b"/"), TEXTS.index(b"t"))
    several = ReasoningTokens((THINK,), end, in_reasoning=True)
    for reasoning in (REASONING, several):
        _, deltas = answer(
            max_tokens=60, temperature=1.0, seed=3, reasoning=reasoning, thinking_token_budget=budget
        )
        said = tokens(deltas)
        size = len(reasoning.end_token_ids)
        opened = 1 if said[0] == THINK else 0
        first = next(i for i in range(len(said)) if tuple(said[i : i + size]) == reasoning.end_token_ids)
        assert first <= budget + opened
        assert len(said) == 60, "it goes on after the reasoning"


def optional(*start: bytes) -> ReasoningTokens:
    return ReasoningTokens(
        tuple(TEXTS.index(each) for each in start), (END_THINK,), in_reasoning=True, optional=True
    )


@pytest.mark.parametrize("start", [(b"<t>",), (b"<", b"t", b">")])
def test_a_grammar_holds_at_once_for_an_answer_that_does_not_reason(start: tuple[bytes, ...]) -> None:
    reasoning = optional(*start)
    begun = set()
    for seed in range(40):
        _, deltas = answer(
            max_tokens=120,
            temperature=5.0,
            seed=seed,
            reasoning=reasoning,
            thinking_token_budget=3,
            **grammar(choice=["null", "true"]),
        )
        said = tokens(deltas)
        assert deltas[-1].finish_reason == "stop"
        if said[0] == reasoning.start_token_ids[0]:
            begun.add("reasoning")
            assert tuple(said[: len(start)]) == reasoning.start_token_ids
            end = said.index(END_THINK)
            assert end <= len(start) + 3
            assert text_of(said[end + 1 :]) in ("null", "true")
        else:
            begun.add("text")
            assert text_of(said) in ("null", "true")
    assert begun == {"reasoning", "text"}


def test_what_a_grammar_admits_is_no_opening() -> None:
    for seed in range(10):
        _, deltas = answer(
            max_tokens=30,
            temperature=1.0,
            seed=seed,
            reasoning=optional(b"<", b"t", b">"),
            **grammar(choice=["<t>null", "</t>"]),
        )
        assert text_of(tokens(deltas)) in ("<t>null", "</t>")


def test_no_budget_at_all_opens_and_ends_an_optional_reasoning() -> None:
    for start in ((b"<t>",), (b"<", b"t", b">")):
        reasoning = optional(*start)
        _, deltas = answer(max_tokens=20, reasoning=reasoning, thinking_token_budget=0)
        said = tokens(deltas)
        assert tuple(said[: len(start) + 1]) == (*reasoning.start_token_ids, END_THINK)
        assert len(said) == 20


def test_a_budget_is_not_for_an_answer_that_does_not_reason() -> None:
    free = tokens(answer(max_tokens=40)[1])
    assert free[0] != THINK
    watched = answer(max_tokens=40, reasoning=optional(b"<t>"), thinking_token_budget=3)[1]
    assert tokens(watched) == free


def test_no_budget_forces_nothing() -> None:
    free = answer(max_tokens=40, temperature=1.0, seed=3)[1]
    for budget in (None, -1, 1000):
        watched = answer(
            max_tokens=40, temperature=1.0, seed=3, reasoning=REASONING, thinking_token_budget=budget
        )[1]
        assert tokens(watched) == tokens(free)


class SlowVocabulary:
    """A vocabulary that is there when the test says so."""

    def __init__(self) -> None:
        self.there = threading.Event()

    def __call__(self) -> Vocabulary:
        if not self.there.wait(30):
            raise TimeoutError
        return toy_vocabulary()


def test_others_go_on_while_a_grammar_is_compiled() -> None:
    slow = SlowVocabulary()
    engine, _ = toy_engine(vocabulary=slow)
    engine.add_request(add("waits", [1], max_tokens=20, **grammar(choice=["null"])))
    engine.add_request(add("goes", [1], max_tokens=20))
    said: list[TokenDelta] = []
    while not said or said[-1].finish_reason is None:
        output = engine.step()
        said += output.deltas
        assert {delta.request_id for delta in output.deltas} <= {"goes"}
        assert output.stats.num_requests_waiting == 1
    assert engine.step().deltas == []
    assert engine.has_work()
    slow.there.set()
    rest: list[TokenDelta] = []
    while engine.has_work():
        rest += engine.step().deltas
    assert text_of(tokens(rest)) == "null"


def test_a_request_that_waits_for_its_grammar_can_be_aborted() -> None:
    slow = SlowVocabulary()
    engine, _ = toy_engine(vocabulary=slow)
    engine.add_request(add("r", [1], **grammar(choice=["null"])))
    engine.abort("r")
    assert [delta.finish_reason for delta in engine.step().deltas] == ["abort"]
    assert not engine.has_work()
    slow.there.set()


def test_what_cannot_be_compiled_fails_its_request_alone() -> None:
    engine, _ = toy_engine()
    news = run(
        engine,
        add("bad", [1], **grammar(regex="[")),
        add("huge", [1], **grammar(regex="x" * 100_000)),
        add("good", [1], max_tokens=20, **grammar(choice=["null"])),
    )
    for name in ("bad", "huge"):
        assert news[name][-1].finish_reason == "error"
        assert news[name][-1].refused
        assert "\n" not in str(news[name][-1].error)
    assert text_of(tokens(news["good"])) == "null"


def test_a_model_without_a_tokenizer_fails_constrained_requests_alone() -> None:
    def nothing() -> Vocabulary:
        raise CheckpointError("there is no tokenizer.json")

    engine, _ = toy_engine(vocabulary=nothing)
    news = run(engine, add("bad", [1], **grammar(choice=["a"])), add("good", [1], max_tokens=3))
    assert not news["bad"][-1].refused
    assert news["bad"][-1].error == "there is no tokenizer.json"
    assert len(tokens(news["good"])) == 3


def test_a_grammar_that_becomes_too_complex_fails_its_request_alone() -> None:
    engine, _ = toy_engine()
    heavy = add(
        "heavy", [1], max_tokens=200, temperature=1.0, ignore_eos=True, **grammar(regex="(a{1,1000}){1,1000}")
    )
    news = run(engine, heavy, add("good", [1], max_tokens=30))
    assert news["heavy"][-1].finish_reason == "error"
    assert news["heavy"][-1].refused
    assert "grammar" in str(news["heavy"][-1].error)
    assert len(tokens(news["good"])) == 30


def test_a_request_that_breaks_the_model_leaves_the_grammars_of_others_as_they_are() -> None:
    """Masks are computed while the model runs, and once more when its step has to be taken apart."""
    bound = [
        add(f"r{seed}", [seed], max_tokens=40, temperature=1.0, seed=seed, **grammar(json=True))
        for seed in range(4)
    ]
    alone = {
        command.request_id: tokens(run(toy_engine()[0], command)[command.request_id]) for command in bound
    }
    engine, _ = toy_engine(poison=42)
    bad = [add(f"bad{seed}", [1, 42], max_tokens=5, **grammar(json=True)) for seed in range(2)]
    news = run(engine, bound[0], bad[0], bound[1], bound[2], bad[1], bound[3])
    assert {name: tokens(news[name]) for name in alone} == alone
    assert all(news[command.request_id][-1].finish_reason == "error" for command in bad)


def test_a_grammar_whose_copies_have_worn_it_out_is_compiled_anew() -> None:
    """All copies share what the lexer has learnt, up to a limit: one request must not fail for the others."""
    constraint = grammar(regex="[a-f]{20,400000}x")
    command = add("r", [1, 2], max_tokens=30, temperature=1.0, **constraint)
    expected = run(toy_engine()[0], command)["r"]
    assert len(tokens(expected)) > 5
    engine, _ = toy_engine()
    shared = engine._grammars.compile(constraint["structured_outputs"], (EOS,)).result()
    other = shared.deep_copy()
    other.try_consume_tokens([TEXTS.index(b"abc")] * 40_000)
    fresh = shared.deep_copy()
    fresh.compute_bitmask()
    assert fresh.is_error(), "it is worn out"
    news = run(engine, command, add("free", [5], max_tokens=30, ignore_eos=True))
    assert tokens(news["r"]) == tokens(expected)
    assert news["r"][-1].finish_reason == expected[-1].finish_reason
    assert len(tokens(news["free"])) == 30


def test_grammars_are_compiled_once() -> None:
    compiler = GrammarCompiler(toy_vocabulary, VOCAB)

    def compiled(**constraint: Any) -> object:
        return compiler.compile(StructuredOutputsParams(**constraint), (EOS,))

    first = compiled(regex="[ab]+")
    assert compiled(regex="[ab]+") is first
    assert compiled(regex="[ab]*") is not first
    for number in range(100):
        compiled(choice=[f"ab{number}"])
    assert compiled(regex="[ab]+") is not first, "the oldest are forgotten"


def test_a_model_without_an_end_token_writes_grammars_to_their_end() -> None:
    engine, _ = toy_engine()
    constraint = StructuredOutputsParams(choice=("null", "true"))
    news = run(engine, add("r", [1], max_tokens=20, structured_outputs=constraint))
    assert text_of(tokens(news["r"])) in ("null", "true")
    assert news["r"][-1].finish_reason == "stop"


def test_repetition_ends_an_answer() -> None:
    wanted = RepetitionDetectionParams(max_pattern_size=3, min_pattern_size=2, min_count=3)
    only = {"allowed_token_ids": (7, 8), "logit_bias": {7: 100.0}, "bad_words_token_ids": [[7, 7], [8, 8]]}
    _, deltas = answer(max_tokens=50, repetition_detection=wanted, **only)
    assert (deltas[-1].finish_reason, deltas[-1].stop_reason) == ("repetition", "repetition_detected")
    assert tokens(deltas) in ([7, 8] * 3, [8, 7] * 3)


def test_bad_words_are_never_completed() -> None:
    words = [[5], [10, 11], [10, 12, 13]]
    for seed in range(5):
        _, deltas = answer(
            max_tokens=150, temperature=3.0, seed=seed, bad_words_token_ids=words,
            logit_bias={10: 6.0, 11: 5.0, 12: 6.0, 13: 6.0, 5: 6.0},
        )  # fmt: skip
        said = tokens(deltas)
        assert 10 in said
        assert 12 in said
        for word in words:
            assert all(said[i : i + len(word)] != word for i in range(len(said)))


def test_the_vocabulary_is_read_from_the_model(tmp_path: Path) -> None:
    model = tiny_gguf(tmp_path / "model.gguf")
    core = EngineCore(EngineConfig(model_path=str(model), executor="reference", max_model_len=64))
    said = tokens(run(core, add("r", [1, 2], max_tokens=40, **grammar(choice=["yes", "no"])))["r"])
    assert load_tokenizer(model).decode(said) in ("yes", "no")
