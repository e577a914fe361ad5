"""The pooling engine's step loop: right vectors, the same bits in any company, and no request lost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers import goldens
from tests.helpers.models import tiny_gguf

from pagoda.engine.config import EngineConfig
from pagoda.engine.cores import make_core
from pagoda.engine.messages import AddRequest, PoolingTask, TokenDelta
from pagoda.engine.params import SamplingParams
from pagoda.engine.pooling import PoolingCore
from pagoda.engine.sizes import ConfigurationError
from pagoda.engine.turns import Turns

BERT = goldens.FOLDER / "bert"
CLASSIFIER = goldens.FOLDER / "bert_classifier"
VOCAB = 256

Array = npt.NDArray[np.float32]


def core_of(path: Path, executor: str = "cpu", **options: object) -> PoolingCore:
    core = make_core(EngineConfig(model_path=str(path), executor=executor, **options))  # type: ignore[arg-type]
    assert isinstance(core, PoolingCore)
    return core


def request(
    name: str, tokens: Sequence[int], task: PoolingTask | None = None, priority: int = 0
) -> AddRequest:
    return AddRequest(
        request_id=name,
        prompt_token_ids=list(tokens),
        params=SamplingParams(),
        pooling=task or PoolingTask(),
        priority=priority,
    )


def finish(core: PoolingCore, limit: int = 200) -> dict[str, TokenDelta]:
    found: dict[str, TokenDelta] = {}
    while core.has_work():
        assert limit, "the engine goes on for ever"
        limit -= 1
        for delta in core.step().deltas:
            assert delta.request_id not in found
            found[delta.request_id] = delta
    return found


def vector(delta: TokenDelta) -> Array:
    assert delta.pooled is not None, delta.error
    return np.frombuffer(delta.pooled, np.float32)


def only(core: PoolingCore, tokens: Sequence[int], task: PoolingTask | None = None) -> Array:
    core.add_request(request("only", tokens, task))
    return vector(finish(core)["only"])


@cache
def decoder(folder: Path) -> Path:
    return tiny_gguf(folder / "decoder.gguf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pooling")


@pytest.mark.parametrize("method", ["mean", "cls", "last"])
@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_are_what_the_method_says(method: str, normalize: bool) -> None:
    core = core_of(BERT, "reference", pooling=method, normalize=normalize)
    golden = goldens.encoder_prompts("bert")[2]
    core.add_request(request("a", golden.tokens, PoolingTask(segments_from=None)))
    golden_zero = finish(core)["a"]
    states = only(core, golden.tokens, PoolingTask(every_token=True, normalize=False)).reshape(-1, 64)
    assert np.abs(states - golden.expected).max() <= goldens.TOLERANCE * np.abs(golden.expected).max()
    expected = {"mean": states.mean(axis=0), "cls": states[0], "last": states[-1]}[method]
    if normalize:
        expected = expected / np.linalg.norm(expected)
    np.testing.assert_allclose(vector(golden_zero), expected, atol=1e-5)


def test_a_classifier_gives_its_outputs_and_hears_of_segments() -> None:
    core = core_of(CLASSIFIER, "reference")
    assert core.info.pooling is not None
    assert core.info.pooling.labels == ("LABEL_0",)
    assert core.info.pooling.activation == "sigmoid"
    for golden in goldens.encoder_prompts("bert_classifier"):
        second = golden.segments.tolist().index(1) if 1 in golden.segments else None
        found = only(core, golden.tokens, PoolingTask(segments_from=second))
        np.testing.assert_allclose(found, golden.expected, atol=1e-4)


def test_the_files_of_sentence_transformers_decide() -> None:
    info = core_of(BERT, "reference").info
    assert info.runner == "pooling"
    assert info.pooling is not None
    assert (info.pooling.method, info.pooling.normalize, info.pooling.size) == ("mean", True, 64)


def test_what_a_request_asks_for_goes_before_the_model() -> None:
    core = core_of(BERT, "reference")
    tokens = list(range(20))
    raw = only(core, tokens, PoolingTask(normalize=False))
    assert abs(np.linalg.norm(raw) - 1) > 0.1
    np.testing.assert_allclose(raw / np.linalg.norm(raw), only(core, tokens), atol=1e-6)


@pytest.mark.parametrize("method", ["last", "mean", "cls"])
@pytest.mark.parametrize("executor", ["reference", "cpu"])
def test_a_decoder_gives_vectors(folder: Path, method: str, executor: str) -> None:
    path = decoder(folder)
    core = core_of(path, executor, runner="pooling", pooling=method, max_num_batched_tokens=64)
    rng = np.random.default_rng(1)
    prompts = {f"p{n}": rng.integers(0, 250, n).tolist() for n in (1, 20, 64, 65, 150)}
    for name, tokens in prompts.items():
        core.add_request(request(name, tokens))
    together = finish(core)
    wide = core_of(path, executor, runner="pooling", pooling=method, max_num_batched_tokens=512)
    for name, tokens in prompts.items():
        # Long prompts came in pieces here and come in one there.
        np.testing.assert_array_equal(vector(together[name]), only(wide, tokens))
    states = only(wide, prompts["p65"], PoolingTask(every_token=True, normalize=False)).reshape(65, -1)
    expected = {"mean": states.mean(axis=0), "cls": states[0], "last": states[-1]}[method]
    np.testing.assert_allclose(vector(together["p65"]), expected / np.linalg.norm(expected), atol=1e-5)


@pytest.mark.parametrize("isa", ["portable", None])
def test_the_same_bits_alone_and_in_a_crowd(folder: Path, isa: str | None) -> None:
    cores = [
        core_of(BERT, isa=isa, num_threads=2),
        core_of(decoder(folder), isa=isa, runner="pooling", pooling="mean", max_num_batched_tokens=64),
    ]

    @settings(max_examples=12, deadline=None, database=None)
    @given(
        st.lists(st.tuples(st.integers(1, 120), st.integers(-1, 1)), min_size=1, max_size=12),
        st.integers(0, 9),
    )
    def same(wanted: list[tuple[int, int]], seed: int) -> None:
        rng = np.random.default_rng(seed)
        prompts = [rng.integers(0, VOCAB, length).tolist() for length, _ in wanted]
        for core in cores:
            for number, (tokens, (_, priority)) in enumerate(zip(prompts, wanted, strict=True)):
                core.add_request(request(str(number), tokens, priority=priority))
            found = finish(core)
            for number, tokens in enumerate(prompts):
                np.testing.assert_array_equal(vector(found[str(number)]), only(core, tokens))

    same()


ARRIVAL = st.tuples(
    st.integers(1, 40), st.integers(-1, 1), st.booleans(), st.one_of(st.none(), st.integers(0, 11))
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ARRIVAL, min_size=1, max_size=12))
def test_nothing_is_lost_and_nothing_leaks(arrivals: list[tuple[int, int, bool, int | None]]) -> None:
    """Each: tokens, priority, whether a step follows, and which of those that came so far is aborted."""
    core = _small()
    free = core.stats().kv_cache_usage
    told: dict[str, TokenDelta] = {}
    added: list[str] = []
    for number, (length, priority, steps, aborted) in enumerate(arrivals):
        name = f"{number}"
        core.add_request(request(name, [number] * length, priority=priority))
        added.append(name)
        if steps:
            told |= {delta.request_id: delta for delta in core.step().deltas}
        if aborted is not None:
            core.abort(added[aborted % len(added)])
    told |= finish(core)
    assert sorted(told) == sorted(added)
    assert {delta.finish_reason for delta in told.values()} <= {"stop", "abort"}
    assert core.stats().kv_cache_usage == free == 0
    assert core.stats().num_requests_running == core.stats().num_requests_waiting == 0


@cache
def _small() -> PoolingCore:
    return core_of(BERT, "reference", max_model_len=40, max_num_batched_tokens=48, max_num_seqs=3)


def test_a_prompt_that_can_never_run_is_told_why() -> None:
    core = _small()
    wrong = {
        "empty": request("empty", []),
        "long": request("long", [1] * 41),
        "vocabulary": request("vocabulary", [VOCAB]),
        "generates": AddRequest(request_id="generates", prompt_token_ids=[1], params=SamplingParams()),
    }
    for command in wrong.values():
        core.add_request(command)
    core.add_request(request("good", [1, 2]))
    found = finish(core)
    assert {name for name, delta in found.items() if delta.finish_reason == "error"} == set(wrong)
    assert found["good"].finish_reason == "stop"


def test_a_prompt_that_fails_fails_alone() -> None:
    core = _small()
    executor = core._executor
    step = executor.step

    class Failing:
        def step(self, batch):  # type: ignore[no-untyped-def]
            if 13 in batch.token_ids:
                raise RuntimeError("cannot compute")
            return step(batch)

    core._executor = Failing()  # type: ignore[assignment]
    try:
        for name, token in (("good", 1), ("bad", 13), ("fine", 2)):
            core.add_request(request(name, [token] * 3))
        found = finish(core)
    finally:
        core._executor = executor
    assert found["bad"].error == "cannot compute"
    assert found["good"].finish_reason == found["fine"].finish_reason == "stop"
    assert core.stats().kv_cache_usage == 0


def test_lower_priority_numbers_go_first() -> None:
    core = _small()
    for name, priority in (("late", 1), ("early", -1), ("middle", 0)):
        core.add_request(request(name, [1] * 40, priority=priority))
    order = []
    while core.has_work():
        order += [delta.request_id for delta in core.step().deltas]
    assert order == ["early", "middle", "late"]


def test_counters() -> None:
    core = core_of(BERT, "reference")
    for number in range(3):
        core.add_request(request(str(number), [1] * 10))
    assert core.stats().num_requests_waiting == 3
    finish(core)
    assert (core.stats().prompt_tokens, core.stats().steps) == (30, 1)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        (BERT, {"runner": "generate"}, "does not generate"),
        (BERT, {"runner": "other"}, "unknown runner"),
        (BERT, {"pooling": "max"}, "unknown pooling"),
        (BERT, {"max_model_len": 321}, "limit is 320"),
    ],
)
def test_settings_that_cannot_work(path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        core_of(path, "reference", **options)


def test_a_single_text_need_not_wait_for_a_great_batch() -> None:
    core = _small()
    for number in range(50):
        core.add_request(request(f"batch{number}", [1] * 30, PoolingTask(group="batch")))
    core.step()
    core.add_request(request("single", [2] * 5, PoolingTask(group="single")))
    seen: list[str] = []
    while "single" not in seen:
        seen += [delta.request_id for delta in core.step().deltas]
    assert len(seen) <= 4
    assert len(finish(core)) + len(seen) == 50  # one was done before


def test_single_texts_do_not_starve_a_batch() -> None:
    core = _small()
    for number in range(10):
        core.add_request(request(f"batch{number}", [1] * 30, PoolingTask(group="batch")))
    done = steps = 0
    while done < 10:
        if steps % 2:  # a step holds one of these texts, so half of the time goes to them
            core.add_request(request(f"single{steps}", [2] * 30, PoolingTask(group=f"single{steps}")))
        done += sum(delta.request_id.startswith("batch") for delta in core.step().deltas)
        steps += 1
        assert steps < 25
    finish(core)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 50)), min_size=1, max_size=40))
def test_groups_that_wait_are_served_evenly(prompts: list[tuple[str, int]]) -> None:
    turns = Turns()
    waiting = [(turns.take(group, cost), number, group, cost) for number, (group, cost) in enumerate(prompts)]
    served = dict.fromkeys("abc", 0)
    for position, (turn, _, group, cost) in enumerate(sorted(waiting)):
        turns.serve(group, turn, cost)
        served[group] += cost
        left = {other for _, _, other, _ in sorted(waiting)[position + 1 :]}
        amounts = [served[other] for other in left]
        assert not amounts or max(amounts) - min(amounts) <= 2 * 50
    assert not turns._ends
