"""The reference executor against Hugging Face Transformers, against itself, and on broken batches."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers import goldens
from tests.helpers.batches import Piece, step_batch, whole_prompt
from tests.helpers.models import encode, tiny_folder, tiny_gguf, tiny_weights, write_safetensors

from pagoda.execute.base import BLOCK_SIZE, StepBatch
from pagoda.execute.reference import ReferenceExecutor
from pagoda.execute.rounding import round_to_bfloat16, round_to_int8
from pagoda.models import build_program
from pagoda.weights import open_checkpoint

BLOCKS = 12


def reference(path: Path, **options: Any) -> ReferenceExecutor:
    checkpoint = open_checkpoint(path)
    return ReferenceExecutor(
        build_program(checkpoint.config), checkpoint, num_blocks=BLOCKS, max_tokens=256, **options
    )


@cache
def golden_executor(name: str) -> ReferenceExecutor:
    return reference(goldens.FOLDER / name)


@pytest.mark.parametrize("name", goldens.MODELS)
def test_logits_agree_with_transformers(name: str) -> None:
    executor = golden_executor(name)
    for tokens, rows, expected in goldens.prompts(name):
        logits = whole_prompt(executor, tokens)[rows]
        assert np.abs(logits - expected).max() <= goldens.TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize(("dtype", "shards"), [("float32", 1), ("bfloat16", 3), ("float16", 2)])
@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_other_types_and_shards_are_the_same_model(
    name: str, dtype: str, shards: int, tmp_path: Path
) -> None:
    source = goldens.FOLDER / name
    shutil.copy(source / "config.json", tmp_path)
    checkpoint = open_checkpoint(source)
    weights = {key: checkpoint.tensor(key).dequantize() for key in checkpoint.names()}
    if dtype == "float16":  # narrower in range than bfloat16: some small weights are rounded
        weights = {key: values.astype(np.float16).astype(np.float32) for key, values in weights.items()}
    write_safetensors(tmp_path, weights, dtype, shards)
    executor = reference(tmp_path)
    for tokens, rows, expected in goldens.prompts(name):
        logits = whole_prompt(executor, tokens)[rows]
        if dtype == "float16":
            assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()
        else:
            np.testing.assert_array_equal(logits, whole_prompt(golden_executor(name), tokens)[rows])


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[list[int]], list[list[tuple[int, int]]]]:
    """Some sequences, and steps of (sequence, tokens) in which each makes progress until all have run."""
    lengths = draw(st.lists(st.integers(1, 90), min_size=1, max_size=3))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    sequences = [rng.integers(0, 256, length).tolist() for length in lengths]
    left = list(lengths)
    steps = []
    while any(left):
        step = []
        for number, remaining in enumerate(left):
            count = min(remaining, int(rng.choice([0, 1, 1, 5, 17, 32, 60])))
            if count:
                step.append((number, count))
                left[number] -= count
        if step:
            steps.append(step)
    return sequences, steps


@settings(max_examples=25, deadline=None)
@given(
    schedule=schedules(), name=st.sampled_from(["llama", "qwen3"]), shuffle=st.randoms(use_true_random=False)
)
def test_any_schedule_gives_the_bits_of_the_whole_prompt(
    schedule: tuple[list[list[int]], list[list[tuple[int, int]]]], name: str, shuffle: Any
) -> None:
    sequences, steps = schedule
    executor = golden_executor(name)
    expected = [whole_prompt(executor, tokens) for tokens in sequences]
    blocks = list(range(BLOCKS))
    shuffle.shuffle(blocks)
    tables = [[blocks.pop() for _ in range(-(-len(tokens) // BLOCK_SIZE))] for tokens in sequences]
    done = [0] * len(sequences)
    for step in steps:
        pieces = [Piece(sequences[n], done[n], done[n] + count, tables[n]) for n, count in step]
        logits = executor.step(step_batch(pieces))
        row = 0
        for number, count in step:
            np.testing.assert_array_equal(
                logits[row : row + count], expected[number][done[number] : done[number] + count]
            )
            row += count
            done[number] += count


def test_sequences_share_the_blocks_of_a_common_prefix() -> None:
    executor = golden_executor("llama")
    rng = np.random.default_rng(5)
    prefix = rng.integers(0, 256, 2 * BLOCK_SIZE).tolist()
    first, second = [*prefix, 1, 2, 3], [*prefix, 9, 8]
    expected = [whole_prompt(executor, tokens)[len(prefix) :] for tokens in (first, second)]
    executor.step(step_batch([Piece(first, 0, len(prefix), [4, 2])]))
    logits = executor.step(
        step_batch(
            [
                Piece(first, len(prefix), len(first), [4, 2, 7]),
                Piece(second, len(prefix), len(second), [4, 2, 0]),
            ]
        )
    )
    np.testing.assert_array_equal(logits, np.concatenate(expected))


def test_only_the_wanted_rows_come_back() -> None:
    executor = golden_executor("qwen2")
    tokens = list(range(40))
    everything = whole_prompt(executor, tokens)
    some = executor.step(step_batch([Piece(tokens, 0, 40, [3, 1])], logits_rows=[0, 17, 39]))
    np.testing.assert_array_equal(some, everything[[0, 17, 39]])
    none = executor.step(step_batch([Piece(tokens, 0, 40, [3, 1])], logits_rows=[]))
    assert none.shape == (0, executor.vocab_size)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_gguf_and_folder_are_the_same_model(architecture: str, tmp_path: Path) -> None:
    folder = reference(tiny_folder(tmp_path / "folder", architecture, "float32", seed=3))
    file = reference(tiny_gguf(tmp_path / "model.gguf", architecture, "F32", seed=3))
    tokens = np.random.default_rng(1).integers(0, 320, 70).tolist()
    # The norm's epsilon is float32 in one and float64 in the other.
    np.testing.assert_allclose(whole_prompt(file, tokens), whole_prompt(folder, tokens), rtol=0, atol=2e-5)


@pytest.mark.parametrize("quantization", ["F16", "Q8_0", "Q4_1"])
def test_rounding_as_the_kernels_do_costs_little(quantization: str, tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "m.gguf", quantization=quantization)
    tokens = list(range(50))
    exact = whole_prompt(reference(path), tokens)
    rounded = whole_prompt(reference(path, activation="int8"), tokens)
    assert 0 < np.sqrt(np.mean((rounded - exact) ** 2)) < 0.06 * exact.std()


def test_rounding_to_bfloat16_is_to_nearest_even() -> None:
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-8], np.float32)
    assert round_to_bfloat16(ties).tolist() == [1.0, 1 + 2.0**-6, -1.0]
    expected = np.frombuffer(encode(values, "bfloat16"), "<u2").astype(np.uint32) << 16
    np.testing.assert_array_equal(round_to_bfloat16(values), expected.view(np.float32))
    assert (
        np.abs(round_to_bfloat16(values) - values) <= 2.0**-9 * 2 ** np.ceil(np.log2(np.abs(values)))
    ).all()


@given(seed=st.integers(0, 2**32 - 1), magnitude=st.integers(-30, 30))
def test_rounding_to_int8_is_off_by_half_a_step_at_most(seed: int, magnitude: int) -> None:
    x = np.random.default_rng(seed).standard_normal((3, 96)).astype(np.float32) * np.float32(2.0**magnitude)
    x[0, :32] = 0
    steps = np.abs(x.reshape(3, 3, 32)).max(axis=-1, keepdims=True) / 127
    error = np.abs(round_to_int8(x) - x).reshape(3, 3, 32)
    assert (error <= 0.5001 * steps).all()


def test_large_activations_stay_finite(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path, "llama", "float32")
    weights = tiny_weights("llama")
    weights["model.layers.0.mlp.gate_proj.weight"] *= 1e4
    write_safetensors(path, weights, "float32")
    with np.errstate(all="raise", under="ignore", over="ignore"):
        logits = whole_prompt(reference(path), list(range(40)))
    assert np.isfinite(logits).all()


def good_batch() -> StepBatch:
    return step_batch(
        [Piece(list(range(40)), 33, 40, [0, 1]), Piece([1, 2, 3], 0, 3, [2])], logits_rows=[6, 9]
    )


def int32(*values: int) -> Any:
    return np.array(values, np.int32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_ids": int32(*range(9))}, "add up"),
        ({"token_ids": int32(*range(9), 256)}, "token ids"),
        ({"token_ids": int32(-1, *range(9))}, "token ids"),
        ({"token_ids": np.arange(10)}, "int32"),
        ({"token_ids": int32()}, "1 to 256"),
        ({"token_ids": int32(*[0] * 257), "query_lens": int32(254, 3)}, "1 to 256"),
        ({"query_lens": int32(10, 0)}, "at least 1"),
        ({"query_lens": int32(10)}, "number of sequences"),
        ({"context_lens": int32(6, 3)}, "shorter"),
        ({"context_lens": int32(65, 3)}, "needs 3 blocks"),
        ({"block_tables": np.array([[0, BLOCKS], [2, -1]], np.int32)}, "block ids"),
        ({"block_tables": np.array([[0, -1], [2, -1]], np.int32)}, "block ids"),
        ({"logits_rows": int32(6, 10)}, "ascending"),
        ({"logits_rows": int32(6, 6)}, "ascending"),
        ({"logits_rows": int32(-1, 6)}, "ascending"),
    ],
)
def test_a_batch_that_breaks_the_contract_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        golden_executor("llama").step(replace(good_batch(), **changes))


def test_a_refused_batch_leaves_the_executor_usable() -> None:
    executor = golden_executor("llama")
    expected = whole_prompt(executor, [5, 6, 7])
    with pytest.raises(ValueError, match="token ids"):
        executor.step(replace(good_batch(), token_ids=int32(*[999] * 10)))
    np.testing.assert_array_equal(whole_prompt(executor, [5, 6, 7]), expected)


def test_sizes_are_reported(tmp_path: Path) -> None:
    executor = reference(tiny_gguf(tmp_path / "m.gguf"))
    assert (executor.vocab_size, executor.num_blocks, executor.max_tokens) == (320, BLOCKS, 256)
    assert executor.cache_bytes == 2 * 2 * BLOCKS * BLOCK_SIZE * 32 * 4
    assert executor.weight_bytes > 320 * 64 * 4
