"""Masks, biases, allowed and banned tokens against a plain NumPy reading of kernels/sample/sample.h."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.test_sampler import check, expected_logprobs, in_order, logits_rows

from pagoda.engine.bad_words import BadWords
from pagoda.engine.params import SamplingParams
from pagoda.engine.sampler import Sampler, SamplingRow, TokenMasks

Floats = npt.NDArray[np.float32]


def packed(allowed: npt.NDArray[np.bool_], spare_words: int = 0) -> npt.NDArray[np.uint32]:
    """One bit a token, lowest first, in whole words; what lies past the vocabulary is set."""
    words = -(-len(allowed) // 32) + spare_words
    bits = np.ones(words * 32, np.uint8)
    bits[: len(allowed)] = allowed
    return np.packbits(bits, bitorder="little").view("<u4").astype(np.uint32)


@st.composite
def subsets(draw: st.DrawFn, vocab: int) -> npt.NDArray[np.bool_]:
    """Few, most or single tokens of a vocabulary; never none."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    share = draw(st.sampled_from([0.0, 0.01, 0.5, 0.99, 1.0]))
    allowed = random.random(vocab) < share
    allowed[random.integers(vocab)] = True
    return allowed


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_constraints_agree_with_the_reference(data: st.DataObject) -> None:
    """The token is the one of the same row with -inf where it may not be, and the bias added."""
    logits = data.draw(logits_rows())
    vocab = len(logits)
    token = st.integers(0, vocab - 1)
    mask = data.draw(st.none() | subsets(vocab))
    allowed = data.draw(st.none() | subsets(vocab))
    bias = data.draw(st.dictionaries(token, st.floats(-100, 100), max_size=5))
    words = data.draw(st.lists(st.lists(token, min_size=1, max_size=3), max_size=4))
    output = data.draw(st.lists(token, max_size=6))
    params = SamplingParams(
        temperature=data.draw(st.sampled_from([0.0, 0.3, 1.0, 4.0])),
        top_k=data.draw(st.sampled_from([0, 1, 7])),
        top_p=data.draw(st.sampled_from([0.5, 1.0])),
        repetition_penalty=data.draw(st.sampled_from([1.0, 1.5])),
        logit_bias=bias or None,
        allowed_token_ids=None if allowed is None else tuple(np.flatnonzero(allowed).tolist()),
        logprobs=3,
    )
    row = SamplingRow(params, [], output, data.draw(st.integers(0, 2**64 - 1)))
    row.bad_words = BadWords(words) if words else None

    x = logits.copy()
    for index, value in bias.items():
        x[index] += np.float32(value)
    if allowed is not None:
        x[~allowed] = -np.inf
    if mask is not None:
        x[~mask] = -np.inf
    without_bans = x.copy()
    for *beginning, last in words:
        if output[len(output) - len(beginning) :] == beginning:
            x[last] = -np.inf
    if mask is not None and not np.isfinite(x).any():
        x = without_bans

    masks = None if mask is None else TokenMasks([0], packed(mask, data.draw(st.integers(0, 2)))[None])
    (sampled,) = Sampler(vocab).sample(logits[None], [row], masks)
    if not np.isfinite(x).any():
        assert sampled.error == "no token may follow: every one is ruled out"
        return
    check(x, SamplingRow(params, [], output, row.seed), sampled)
    assert sampled.logprobs is not None, "raw log-probabilities, whatever is allowed"
    raw = expected_logprobs(logits)
    assert sampled.logprobs.logprob == pytest.approx(raw[sampled.token_id], rel=1e-12, abs=1e-12)
    assert sampled.logprobs.top_token_ids == in_order(logits)[:3].tolist()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_each_row_has_its_own_mask(data: st.DataObject) -> None:
    vocab, rows = 500, 6
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    logits = random.standard_normal((rows, vocab)).astype(np.float32)
    masked = data.draw(st.lists(st.integers(0, rows - 1), unique=True, max_size=rows))
    allowed = [data.draw(subsets(vocab)) for _ in masked]
    params = SamplingParams(temperature=0.0)
    bits = np.stack([packed(each) for each in allowed] or [np.zeros(16, np.uint32)])
    found = Sampler(vocab).sample(
        logits, [SamplingRow(params, [], [], i) for i in range(rows)], TokenMasks(masked, bits)
    )
    for index in range(rows):
        x = logits[index].copy()
        if index in masked:
            x[~allowed[masked.index(index)]] = -np.inf
        assert found[index].token_id == int(np.argmax(x))


def test_logprobs_by_token_id_are_reported_with_their_ranks() -> None:
    logits = np.array([[0.5, 2.0, 2.0, -1.0, 7.0]], np.float32)
    params = SamplingParams(temperature=0.0, logprob_token_ids=(2, 3))
    (sampled,) = Sampler(5).sample(logits, [SamplingRow(params, [], [], 0)])
    raw = expected_logprobs(logits[0])
    assert sampled.logprobs is not None
    assert sampled.logprobs.top_token_ids == []
    assert [(token, rank) for token, _, rank in sampled.logprobs.others] == [(2, 3), (3, 5)]
    assert [value for _, value, _ in sampled.logprobs.others] == pytest.approx([raw[2], raw[3]], abs=1e-12)


def test_the_top_logprob_is_the_very_number_of_the_token() -> None:
    """Evaluation harnesses compare the two floats for equality."""
    random = np.random.default_rng(3)
    sampler = Sampler(4099)
    for _ in range(50):
        logits = (random.standard_normal(4099) * 5).astype(np.float32)
        top = int(np.argmax(logits))
        found = sampler.logprobs(logits, top, 1)
        assert found.logprob == max(found.top_logprobs)
        (sampled,) = sampler.sample(
            logits[None], [SamplingRow(SamplingParams(temperature=0.0, logprobs=1), [], [], 0)]
        )
        assert sampled.logprobs == found


def test_masks_that_do_not_fit_are_refused() -> None:
    sampler, row = Sampler(70), SamplingRow(SamplingParams(), [], [], 0)
    logits = np.zeros((1, 70), np.float32)
    with pytest.raises(ValueError, match="mask"):
        sampler.sample(logits, [row], TokenMasks([0], np.zeros((1, 2), np.uint32)))
    with pytest.raises(ValueError, match="mask"):
        sampler.sample(logits, [row], TokenMasks([0, 0], np.zeros((1, 3), np.uint32)))
    with pytest.raises(ValueError, match="range"):
        sampler.sample(logits, [row], TokenMasks([1], np.zeros((1, 3), np.uint32)))


def test_bad_words_are_found_by_their_last_tokens() -> None:
    words = BadWords([[5], [1, 2], [3, 1, 4], [9, 1, 4], [1, 7]])
    assert words.always == (5,)
    assert words.after([]) == []
    assert words.after([1]) == [2, 7]
    assert words.after([3, 1]) == [2, 4, 7]
    assert words.after([2, 1]) == [2, 7]
    assert words.after([8]) == []
