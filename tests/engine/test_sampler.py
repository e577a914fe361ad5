"""The sampler against a plain NumPy reading of its algorithm (kernels/sample/sample.h)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagoda.engine.params import SamplingParams
from pagoda.engine.sampler import Sampled, Sampler, SamplingRow

Floats = npt.NDArray[np.float32]
MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def uniform(seed: int, position: int) -> float:
    return (mix((mix((seed + GOLDEN) & MASK) + (position + 1) * GOLDEN) & MASK) >> 11) * 2.0**-53


def in_order(logits: Floats) -> npt.NDArray[np.intp]:
    """Ids by logit, highest first, equal ones by id."""
    return np.argsort(-logits.astype(np.float64), kind="stable")


def adjusted(logits: Floats, row: SamplingRow) -> Floats:
    """Steps 2 and 3."""
    x, p = logits.copy(), row.params
    x[[token for token in row.banned if 0 <= token < len(x)]] = -np.inf
    repeated, frequency = np.float32(p.repetition_penalty), np.float32(p.frequency_penalty)
    for token in sorted(set(row.prompt_token_ids) | set(row.output_token_ids)):
        x[token] = x[token] / repeated if x[token] > 0 else x[token] * repeated
    for token in sorted(set(row.output_token_ids)):
        x[token] -= frequency * np.float32(list(row.output_token_ids).count(token))
        x[token] -= np.float32(p.presence_penalty)
    return x


def reference_weights(logits: Floats, row: SamplingRow) -> tuple[npt.NDArray[np.float64], bool]:
    """Steps 2 to 8: the weights in the draw, and whether a limit was so near that rounding may decide."""
    x, p = adjusted(logits, row), row.params
    with np.errstate(over="ignore"):  # -inf for temperatures next to nothing
        weights = np.exp((x.astype(np.float64) - x.max()) / p.temperature)
    order = in_order(x)
    near = False
    if p.min_p > 0:
        order = order[x[order].astype(np.float64) - x.max() >= math.log(p.min_p) * p.temperature]
    if p.top_k > 0:
        order = order[: p.top_k]
    if p.top_p < 1:
        sums = np.cumsum(weights[order])
        short = sums < p.top_p * sums[-1]
        near = bool((np.abs(sums / (p.top_p * sums[-1]) - 1) < 1e-5).any())
        order = order[: int(short.sum()) + 1]
    kept = np.zeros_like(weights)
    kept[order] = weights[order]
    return kept, near


def check(logits: Floats, row: SamplingRow, sampled: Sampled) -> None:
    """That `sampled` is what the algorithm gives."""
    assert sampled.error is None
    if row.params.temperature == 0:
        assert sampled.token_id == in_order(adjusted(logits, row))[0]
        return
    weights, near = reference_weights(logits, row)
    if near:
        return
    sums = np.cumsum(weights)
    wanted = uniform(row.seed & MASK, len(row.output_token_ids)) * sums[-1]
    expected = int(np.searchsorted(sums, wanted, side="right"))
    if sampled.token_id != expected:  # only if the draw fell on a border
        assert abs(sums[min(expected, sampled.token_id)] - wanted) < 1e-5 * sums[-1]
    assert weights[sampled.token_id] > 0


def expected_logprobs(logits: Floats) -> npt.NDArray[np.float64]:
    x = logits.astype(np.float64)
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


@st.composite
def logits_rows(draw: st.DrawFn) -> Floats:
    """Rows with ties, flat, peaked, with a wide range or ruled-out tokens, of few and of many tokens."""
    vocab = draw(st.one_of(st.integers(1, 200), st.sampled_from([64, 128, 1000, 4097, 20_000])))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["normal", "flat", "ties", "peaked", "wide", "ruled out"]))
    x = random.standard_normal(vocab)
    match kind:
        case "flat":
            x = np.zeros(vocab) + x[0]
        case "ties":
            x = random.integers(-3, 4, vocab)
        case "peaked":
            x[random.integers(vocab)] += 30
        case "wide":
            x = x * 1e30
        case "ruled out":
            x = np.where((random.random(vocab) < 0.7) & (np.arange(vocab) != vocab // 2), -np.inf, x)
    return x.astype(np.float32) * np.float32(1 if kind in ("ties", "wide") else draw(st.floats(0.01, 20)))


@st.composite
def rows_for(draw: st.DrawFn, vocab: int) -> SamplingRow:
    def sometimes(strategy: st.SearchStrategy[float], default: float) -> float:
        return draw(strategy) if draw(st.booleans()) else default

    params = SamplingParams(
        temperature=draw(st.one_of(st.just(0.0), st.floats(0.05, 5), st.just(1.0), st.floats(1e-300, 1e-3))),
        top_k=int(sometimes(st.integers(1, vocab + 5), 0)),
        top_p=sometimes(st.floats(0.01, 1), 1.0),
        min_p=sometimes(st.floats(0, 1), 0.0),
        repetition_penalty=sometimes(st.floats(0.5, 2), 1.0),
        frequency_penalty=sometimes(st.floats(-2, 2), 0.0),
        presence_penalty=sometimes(st.floats(-2, 2), 0.0),
    )
    token = st.integers(0, vocab - 1)
    banned = draw(st.lists(token, max_size=min(3, vocab - 1))) if draw(st.booleans()) else []
    return SamplingRow(
        params,
        draw(st.lists(token, max_size=8)),
        draw(st.lists(token, max_size=8)),
        draw(st.integers(-5, 2**65)),
        tuple(banned),
    )


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_agrees_with_the_reference(data: st.DataObject) -> None:
    logits = data.draw(logits_rows())
    row = data.draw(rows_for(len(logits)))
    if not np.isfinite(adjusted(logits, row)).any():
        return
    (sampled,) = Sampler(len(logits)).sample(logits[None], [row])
    check(logits, row, sampled)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_long_lists_of_candidates_agree_with_the_reference(data: st.DataObject) -> None:
    """Vocabularies of real size, where the selection works on bands and blocks."""
    vocab = data.draw(st.sampled_from([49_152, 65_537]))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    spread = data.draw(st.sampled_from([0.0, 0.01, 1.0, 5.0]))
    logits = (
        (random.standard_normal(vocab) * spread).round(data.draw(st.sampled_from([1, 7]))).astype(np.float32)
    )
    params = SamplingParams(
        temperature=data.draw(st.sampled_from([0.3, 1.0, 2.5])),
        top_k=data.draw(st.sampled_from([0, 1, 40, 2000, 40_000])),
        top_p=data.draw(st.sampled_from([1e-6, 0.37, 0.9, 0.9999999, 1.0])),
        min_p=data.draw(st.sampled_from([0.0, 1e-8, 0.05])),
    )
    row = SamplingRow(params, [], [3] * data.draw(st.integers(0, 50)), data.draw(st.integers(0, 2**64 - 1)))
    (sampled,) = Sampler(vocab).sample(logits[None], [row])
    check(logits, row, sampled)


def sample_many(
    logits: Sequence[float], params: SamplingParams, count: int, seed: int = 7
) -> npt.NDArray[np.intp]:
    """How often each token comes in `count` draws of one request."""
    row = np.array(logits, dtype=np.float32)
    sampler, output = Sampler(len(row)), list[int]()
    request = SamplingRow(params, [], output, seed)
    for _ in range(count):
        output.append(sampler.sample(row[None], [request])[0].token_id)
    return np.bincount(output, minlength=len(row))


def assert_frequencies(counts: npt.NDArray[np.intp], probabilities: npt.NDArray[np.float64]) -> None:
    """Chi-squared at four standard deviations (mean = degrees of freedom, variance twice that)."""
    assert counts[probabilities == 0].sum() == 0
    kept = probabilities > 0
    expected = probabilities[kept] / probabilities[kept].sum() * counts.sum()
    statistic = float(((counts[kept] - expected) ** 2 / expected).sum())
    freedom = int(kept.sum()) - 1
    assert statistic < freedom + 4 * math.sqrt(2 * freedom)


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        (SamplingParams(temperature=1.0), [0, 1, 2, 3, 4, 5]),
        (SamplingParams(temperature=2.0), [0, 1, 2, 3, 4, 5]),
        (SamplingParams(top_k=3), [0, 1, 4]),
        (SamplingParams(top_p=0.8), [0, 4]),
        (SamplingParams(min_p=0.2), [0, 1, 4]),
    ],
)
def test_frequencies_are_the_probabilities(params: SamplingParams, kept: list[int]) -> None:
    logits = np.log(np.array([0.5, 0.11, 0.05, 0.02, 0.3, 0.02]))
    probabilities = np.zeros(6)
    probabilities[kept] = np.exp(logits[kept] / params.temperature)
    assert_frequencies(sample_many(list(logits), params, 20_000), probabilities)


def test_different_seeds_draw_independently() -> None:
    logits = np.zeros((1, 16), dtype=np.float32)
    sampler, params = Sampler(16), SamplingParams()
    tokens = [
        sampler.sample(logits, [SamplingRow(params, [], [], seed)])[0].token_id for seed in range(20_000)
    ]
    assert_frequencies(np.bincount(tokens, minlength=16), np.full(16, 1 / 16))


def test_a_draw_depends_on_seed_and_position_alone() -> None:
    """Rows in any order or company, a fresh sampler and fresh state: the same tokens."""
    random = np.random.default_rng(5)
    logits = random.standard_normal((12, 700)).astype(np.float32) * 3

    def make(index: int) -> SamplingRow:
        params = SamplingParams(
            temperature=0.5 + index / 6, top_p=0.9 if index % 2 else 1.0, top_k=index % 3 * 20,
            repetition_penalty=1 + index % 4 / 10, logprobs=index % 5,
        )  # fmt: skip
        return SamplingRow(params, [1, 2, 3], list(range(index)), seed=1000 + index)

    together = Sampler(700).sample(logits, [make(i) for i in range(12)])
    shuffled = random.permutation(12)
    apart = Sampler(700)
    for i in shuffled:
        assert apart.sample(logits[i : i + 1], [make(int(i))]) == [together[i]]
    assert apart.sample(logits[shuffled], [make(int(i)) for i in shuffled]) == [together[i] for i in shuffled]


def test_penalties_follow_the_growing_output() -> None:
    """State kept from step to step gives what fresh state gives, also after the output was cut back."""
    random = np.random.default_rng(11)
    logits = random.standard_normal((1, 50)).astype(np.float32)
    params = SamplingParams(
        temperature=0, repetition_penalty=1.3, frequency_penalty=0.5, presence_penalty=0.2
    )
    sampler, output = Sampler(50), list[int]()
    kept = SamplingRow(params, [4, 4, 9], output, 0)
    for step in range(30):
        if step == 20:
            del output[10:]
        (sampled,) = sampler.sample(logits, [kept])
        check(logits[0], SamplingRow(params, [4, 4, 9], list(output), 0), sampled)
        output.append(sampled.token_id)
    assert len(set(output)) > 5


def test_greedy_takes_the_lowest_id_of_a_tie() -> None:
    logits = np.zeros((1, 300), dtype=np.float32)
    logits[0, [130, 131, 299]] = 2.5
    params = SamplingParams(temperature=0)
    assert Sampler(300).sample(logits, [SamplingRow(params, [], [], 0)])[0].token_id == 130
    banned = SamplingRow(params, [], [], 0, banned=(130, 131, -1, 10**30))
    assert Sampler(300).sample(logits, [banned])[0].token_id == 299


def test_ties_at_a_limit_fall_to_the_lowest_ids() -> None:
    logits = [0.0] * 10
    assert set(np.flatnonzero(sample_many(logits, SamplingParams(top_k=4), 300))) == {0, 1, 2, 3}
    assert set(np.flatnonzero(sample_many(logits, SamplingParams(top_p=0.5), 300))) == {0, 1, 2, 3, 4}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_logprobs_are_the_log_softmax_of_the_raw_logits(data: st.DataObject) -> None:
    logits = data.draw(logits_rows())
    count = data.draw(st.integers(0, 20))
    token = data.draw(st.integers(0, len(logits) - 1))
    expected, order = expected_logprobs(logits), in_order(logits)
    found = Sampler(len(logits)).logprobs(logits, token, count)
    assert found.token_id == token
    assert found.logprob == pytest.approx(expected[token], rel=1e-12, abs=1e-12)
    assert found.rank == 1 + int(np.flatnonzero(order == token)[0])
    assert found.top_token_ids == order[:count].tolist()
    assert found.top_logprobs == pytest.approx(expected[order[:count]].tolist(), rel=1e-12, abs=1e-12)


def test_logprobs_of_a_sampled_token_ignore_penalties_bans_and_temperature() -> None:
    logits = np.array([[1.0, 3.0, 2.0, -1.0]], dtype=np.float32)
    params = SamplingParams(temperature=0, logprobs=4, presence_penalty=2.0, repetition_penalty=2.0)
    (sampled,) = Sampler(4).sample(logits, [SamplingRow(params, [], [1], 0, banned=(2,))])
    assert sampled.token_id == 0
    assert sampled.logprobs is not None
    assert (sampled.logprobs.token_id, sampled.logprobs.rank) == (0, 3)
    assert sampled.logprobs.top_token_ids == [1, 2, 0, 3]
    assert sum(math.exp(value) for value in sampled.logprobs.top_logprobs) == pytest.approx(1, abs=1e-12)
    assert logits.tolist() == [[1.0, 3.0, 2.0, -1.0]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 70, 99])
def test_broken_logits_fail_their_row_alone(bad: float, place: int) -> None:
    logits = np.zeros((3, 100), dtype=np.float32)
    logits[:, 5] = 1
    logits[1, place] = bad
    for temperature in (0.0, 1.0):
        rows = [SamplingRow(SamplingParams(temperature=temperature, logprobs=1), [], [], i) for i in range(3)]
        first, broken, last = Sampler(100).sample(logits, rows)
        assert (broken.token_id, broken.logprobs) == (-1, None)
        assert broken.error is not None
        assert "\n" not in broken.error
        assert first.error is None
        assert last.error is None
        assert 0 <= first.token_id < 100
    with pytest.raises(ValueError, match="not finite"):
        Sampler(100).logprobs(logits[1], 0, 3)


def test_a_row_that_rules_out_every_token_fails_alone() -> None:
    logits = np.zeros((2, 2), dtype=np.float32)
    params = SamplingParams(temperature=0)
    good, empty = Sampler(2).sample(
        logits, [SamplingRow(params, [], [], 0), SamplingRow(params, [], [], 0, banned=(0, 1))]
    )
    assert good.token_id == 0
    assert empty.token_id == -1
    assert empty.error is not None


def test_extreme_temperatures_and_limits() -> None:
    logits = [0.0, 5.0, 5.0, -3.0]
    assert set(np.flatnonzero(sample_many(logits, SamplingParams(temperature=1e-300), 100))) == {1, 2}
    assert_frequencies(sample_many(logits, SamplingParams(temperature=1e300), 4000), np.full(4, 0.25))
    assert sample_many(logits, SamplingParams(top_k=10**15), 10).sum() == 10


def test_shapes_that_do_not_fit_are_refused() -> None:
    row = SamplingRow(SamplingParams(), [], [], 0)
    with pytest.raises(ValueError, match="shape"):
        Sampler(4).sample(np.zeros((1, 5), dtype=np.float32), [row])
    with pytest.raises(ValueError, match="shape"):
        Sampler(4).sample(np.zeros((2, 4), dtype=np.float32), [row])
    with pytest.raises(ValueError, match="out of range"):
        Sampler(4).logprobs(np.zeros(4, dtype=np.float32), 4, 1)


def test_no_rows_give_no_tokens() -> None:
    assert Sampler(4).sample(np.zeros((0, 4), dtype=np.float32), []) == []
