"""The CPU executor against the reference, against itself however tokens are split, and on bad input."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.batches import Piece, step_batch, whole_prompt
from tests.helpers.models import TinySizes, tiny_folder, tiny_gguf

from pagoda import _kernels
from pagoda.execute.base import BLOCK_SIZE, StepBatch
from pagoda.execute.cpu import ISAS, CpuExecutor, cache_block_bytes, choose_isa
from pagoda.execute.reference import ReferenceExecutor
from pagoda.models import build_program
from pagoda.weights import Checkpoint, open_checkpoint
from pagoda.weights.tensor import Tensor

BLOCKS = 64
MAX_TOKENS = 640
CONTEXT = 700
MACHINE_ISAS = ISAS[: ISAS.index(_kernels.best_isa()) + 1]
FORMATS = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1")
ARCHITECTURES = ("llama", "qwen2", "qwen3")


def cpu(checkpoint: Checkpoint, **options: Any) -> CpuExecutor:
    sizes = {"num_blocks": BLOCKS, "max_tokens": MAX_TOKENS, "max_model_len": CONTEXT, "num_threads": 2}
    return CpuExecutor(build_program(checkpoint.config), checkpoint, **{**sizes, **options})


def reference(checkpoint: Checkpoint, **options: Any) -> ReferenceExecutor:
    program = build_program(checkpoint.config)
    return ReferenceExecutor(program, checkpoint, num_blocks=BLOCKS, max_tokens=MAX_TOKENS, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


def tiny(folder: Path, architecture: str, quantization: str) -> Path:
    path = folder / f"{architecture}-{quantization}.gguf"
    return path if path.exists() else tiny_gguf(path, architecture, quantization)


def random_tokens(seed: int, count: int) -> list[int]:
    return np.random.default_rng(seed).integers(0, 320, count).tolist()


@pytest.mark.parametrize("quantization", FORMATS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_logits_agree_with_the_reference(architecture: str, quantization: str, folder: Path) -> None:
    checkpoint = open_checkpoint(tiny(folder, architecture, quantization))
    tokens = random_tokens(1, 150)
    exact = whole_prompt(reference(checkpoint), tokens)
    rounded = whole_prompt(reference(checkpoint, activation="int8"), tokens)
    for isa in MACHINE_ISAS:
        logits = whole_prompt(cpu(checkpoint, isa=isa), tokens)
        assert np.isfinite(logits).all()
        if quantization == "BF16" and isa == "avx512":
            # Products round their inputs to bfloat16, which the reference does not imitate.
            assert rms(logits - exact) < 0.05
            continue
        # The same values are rounded to the same formats. What is left is the order of summation, and where
        # it moves a value over the edge between two int8 or bfloat16 the rows after it differ a little.
        assert np.abs(logits - rounded).max(axis=1).min() < 1e-3
        assert rms(logits - rounded) < min(0.05, 0.75 * rms(rounded - exact))


def rms(values: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(values**2)))


class Mixed:
    """A checkpoint whose value projections, down projections and head come from other files."""

    def __init__(self, first: Checkpoint, others: dict[str, Checkpoint]) -> None:
        self.config = first.config
        self._first, self._others = first, others

    def tensor(self, name: str) -> Tensor:
        for part, checkpoint in self._others.items():
            if part in name:
                return checkpoint.tensor(name)
        return self._first.tensor(name)


@pytest.mark.parametrize("isa", MACHINE_ISAS)
def test_a_product_may_mix_formats(isa: str, folder: Path) -> None:
    q4, q8, f32 = (open_checkpoint(tiny(folder, "llama", name)) for name in ("Q4_1", "Q8_0", "F32"))
    mixed: Any = Mixed(q4, {"v_proj": q8, "down_proj": q8, "up_proj": f32, "lm_head": f32})
    tokens = random_tokens(2, 60)
    executor = cpu(mixed, isa=isa)
    difference = whole_prompt(executor, tokens) - whole_prompt(reference(mixed, activation="int8"), tokens)
    assert rms(difference) < 0.05
    assert set(executor.weight_formats) == {"int4_offset", "int8", "f32"}


@cache
def shared_executor(isa: str, architecture: str, quantization: str, folder: Path) -> CpuExecutor:
    return cpu(open_checkpoint(tiny(folder, architecture, quantization)), isa=isa)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_split_into_steps_gives_the_same_bits(data: st.DataObject, folder: Path) -> None:
    isa = data.draw(st.sampled_from(MACHINE_ISAS))
    executor = shared_executor(
        isa, data.draw(st.sampled_from(ARCHITECTURES)), data.draw(st.sampled_from(["F32", "Q4_1"])), folder
    )
    lengths = data.draw(st.lists(st.integers(1, 560), min_size=1, max_size=3))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sequences = [rng.integers(0, 320, length).tolist() for length in lengths]
    expected = [whole_prompt(executor, tokens) for tokens in sequences]
    free = rng.permutation(BLOCKS).tolist()
    tables = [[free.pop() for _ in range(-(-len(tokens) // BLOCK_SIZE))] for tokens in sequences]
    done = [0] * len(sequences)
    while any(at < len(tokens) for at, tokens in zip(done, sequences, strict=True)):
        step = []
        for number in rng.permutation(len(sequences)).tolist():
            left = len(sequences[number]) - done[number]
            # Mostly long pieces, so that hundreds of tokens take few steps; single ones towards the end.
            count = min(left, int(rng.choice([0, 1, 1, 3, 17, 32, 170] if left < 40 else [0, 33, 100, 170])))
            if count and sum(n for _, n in step) + count <= MAX_TOKENS:
                step.append((number, count))
        if not step:
            continue
        logits = executor.step(
            step_batch([Piece(sequences[n], done[n], done[n] + count, tables[n]) for n, count in step])
        )
        row = 0
        for number, count in step:
            wanted = expected[number][done[number] : done[number] + count]
            np.testing.assert_array_equal(logits[row : row + count], wanted)
            row += count
            done[number] += count


@pytest.mark.parametrize("isa", MACHINE_ISAS)
def test_the_number_of_threads_changes_no_bit(isa: str, folder: Path) -> None:
    checkpoint = open_checkpoint(tiny(folder, "qwen3", "Q8_0"))
    tokens = random_tokens(3, 400)
    expected = None
    for threads in (1, 2, 5):
        executor = cpu(checkpoint, isa=isa, num_threads=threads)
        logits = whole_prompt(executor, tokens)
        after = executor.step(step_batch([Piece(tokens, 399, 400, list(range(13)))])).copy()
        np.testing.assert_array_equal(after[0], logits[-1])
        expected = logits if expected is None else expected
        np.testing.assert_array_equal(logits, expected)


def test_sequences_share_the_blocks_of_a_common_prefix(folder: Path) -> None:
    executor = shared_executor(choose_isa(None), "llama", "Q8_0", folder)
    prefix, tails = random_tokens(4, 2 * BLOCK_SIZE), [random_tokens(5, 9), random_tokens(6, 20)]
    expected = [whole_prompt(executor, prefix + tail, 10)[len(prefix) :] for tail in tails]
    executor.step(step_batch([Piece(prefix, 0, len(prefix), [3, 1])]))
    start = len(prefix)
    pieces = [
        Piece(prefix + tail, start, start + len(tail), [3, 1, 7 + number])
        for number, tail in enumerate(tails)
    ]
    np.testing.assert_array_equal(executor.step(step_batch(pieces)), np.concatenate(expected))


def test_only_the_wanted_rows_come_back(folder: Path) -> None:
    executor = shared_executor(choose_isa(None), "llama", "Q8_0", folder)
    tokens = random_tokens(7, 120)
    every = whole_prompt(executor, tokens)
    piece = Piece(tokens, 0, 120, [0, 1, 2, 3])
    for rows in ([119], [0, 7, 63], []):
        logits = executor.step(step_batch([piece], rows))
        assert logits.shape == (len(rows), 320)
        np.testing.assert_array_equal(logits, every[rows])


@pytest.mark.parametrize("isa", MACHINE_ISAS)
def test_large_and_odd_shapes(isa: str, folder: Path) -> None:
    """Groups of 7 query heads, a head of 80, a vocabulary that fills no block, activations of a thousand."""
    sizes = TinySizes(
        vocab_size=331, hidden_size=96, num_attention_heads=7, num_key_value_heads=1, head_dim=80
    )
    path = folder / "odd"
    if not path.exists():
        tiny_folder(path, "qwen3", "float32", sizes=sizes)
    checkpoint = open_checkpoint(path)
    tokens = random_tokens(8, 300)
    difference = whole_prompt(cpu(checkpoint, isa=isa), tokens) - whole_prompt(
        reference(checkpoint, activation="int8"), tokens
    )
    assert rms(difference) < 0.05


def test_a_tied_embedding_is_packed_once(folder: Path) -> None:
    tied = TinySizes(tie_word_embeddings=True, vocab_size=2048)
    free = replace(tied, tie_word_embeddings=False)
    bytes_of = {
        name: cpu(open_checkpoint(tiny_gguf(folder / f"{name}.gguf", sizes=sizes))).weight_bytes
        for name, sizes in {"tied": tied, "free": free}.items()
    }
    table = 2048 * 64 * 34 // 32
    assert bytes_of["free"] - bytes_of["tied"] == table


def test_sizes_and_progress(folder: Path) -> None:
    checkpoint = open_checkpoint(tiny(folder, "llama", "Q8_0"))
    program = build_program(checkpoint.config)
    seen: list[tuple[int, int]] = []
    executor = cpu(checkpoint, progress=lambda done, total: seen.append((done, total)))
    assert (executor.vocab_size, executor.num_blocks, executor.max_tokens) == (320, BLOCKS, MAX_TOKENS)
    assert executor.cache_bytes == BLOCKS * cache_block_bytes(program)
    assert cache_block_bytes(program) == 2 * 2 * 2 * 16 * BLOCK_SIZE * 2
    total = len(program.weight_shapes())
    assert seen == [(done, total) for done in range(1, total + 1)]
    assert sum(executor.weight_formats.values()) <= executor.weight_bytes
    assert executor.num_threads == 2
    assert executor.isa == _kernels.best_isa()


def test_the_checkpoint_may_be_closed_after_loading(folder: Path) -> None:
    checkpoint = open_checkpoint(tiny(folder, "llama", "Q4_0"))
    executor = cpu(checkpoint)
    expected = whole_prompt(executor, [1, 2, 3])
    checkpoint.close()
    np.testing.assert_array_equal(whole_prompt(executor, [1, 2, 3]), expected)


def test_profile_counts_operations(folder: Path) -> None:
    executor = cpu(open_checkpoint(tiny(folder, "llama", "Q8_0")))
    whole_prompt(executor, [1, 2, 3])
    assert all(calls == 0 for _, _, _, calls in executor.profile())
    executor.set_profiling(True)
    whole_prompt(executor, [1, 2, 3])
    counts = {name: calls for name, _, _, calls in executor.profile()}
    assert counts == {
        "embedding": 1,
        "norm, product": 2,
        "attention": 2,
        "selection": 1,
        "product, add": 4,
        "norm, gate, up, silu": 2,
        "logits": 1,
    }


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
        ({"token_ids": int32(*range(9), 320)}, "token id 320"),
        ({"token_ids": int32(-1, *range(9))}, "token id -1"),
        ({"token_ids": np.arange(10)}, "token_ids"),
        ({"token_ids": np.zeros(10, np.float32)}, "int32"),
        ({"token_ids": int32(*range(20))[::2]}, "token_ids"),
        ({"token_ids": int32()}, "1 to 640"),
        ({"token_ids": int32(*[0] * 641), "query_lens": int32(638, 3)}, "1 to 640"),
        ({"query_lens": int32(10, 0)}, "new tokens"),
        ({"query_lens": int32(10)}, "one entry a sequence"),
        ({"context_lens": int32(6, 3)}, "context of 6"),
        ({"context_lens": int32(CONTEXT + 1, 3)}, f"context of {CONTEXT + 1}"),
        ({"context_lens": int32(65, 3)}, "needs 3 cache blocks"),
        ({"block_tables": np.array([[0, BLOCKS], [2, -1]], np.int32)}, f"block id {BLOCKS}"),
        ({"block_tables": np.array([[0, -1], [2, -1]], np.int32)}, "block id -1"),
        ({"logits_rows": int32(6, 10)}, "ascend"),
        ({"logits_rows": int32(6, 6)}, "ascend"),
        ({"logits_rows": int32(-1, 6)}, "ascend"),
    ],
)
def test_a_batch_that_breaks_the_contract_is_refused(
    changes: dict[str, Any], message: str, folder: Path
) -> None:
    executor = shared_executor(choose_isa(None), "llama", "Q8_0", folder)
    expected = whole_prompt(executor, [5, 6, 7])
    with pytest.raises(ValueError, match=message):
        executor.step(replace(good_batch(), **changes))
    np.testing.assert_array_equal(whole_prompt(executor, [5, 6, 7]), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_threads": 0}, "threads"),
        ({"num_blocks": 0}, "num_blocks"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_model_len": 0}, "max_context"),
        ({"isa": "sse9"}, "unknown instruction set 'sse9'"),
    ],
)
def test_sizes_that_cannot_be_are_refused(options: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=message):
        cpu(open_checkpoint(tiny(folder, "llama", "Q8_0")), **options)


def test_heads_that_fill_no_vector_are_refused(folder: Path) -> None:
    path = tiny_gguf(folder / "heads.gguf", sizes=TinySizes(head_dim=24, num_attention_heads=8))
    with pytest.raises(ValueError, match="head_dim must be a multiple of 16"):
        cpu(open_checkpoint(path))


def test_an_instruction_set_is_an_upper_limit() -> None:
    assert choose_isa("portable") == "portable"
    assert choose_isa("avx512") == _kernels.best_isa()
    assert choose_isa(None) == _kernels.best_isa()
