"""Quantising while loading: the error bound, what is quantised and what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.helpers.models import tiny_folder, tiny_gguf

from pagoda.weights import open_checkpoint
from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.quantize import quantize_int4, quantize_int8
from pagoda.weights.tensor import Format, Tensor

# float32 rounding of the product and the sum, a few units in the last place of the group's largest value.
FLOAT_ERROR = 8 * 2.0**-24
TINIEST = 2.0**-126  # the smallest normal float32: steps below it may vanish

matrices = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.sampled_from([32, 64, 96])),
    elements=st.one_of(st.floats(-2, 2, width=32), st.floats(-65504, 65504, width=32), st.just(0.0)),
)


def tensor(values: npt.NDArray[np.float32]) -> Tensor:
    return Tensor("w", Format.F32, values.shape, values)


def assert_half_a_step(quantised: Tensor, values: npt.NDArray[np.float32]) -> None:
    assert quantised.scales is not None
    steps = quantised.scales.astype(np.float64)[..., None]
    groups = values.reshape(len(values), -1, 32).astype(np.float64)
    error = np.abs(quantised.dequantize().reshape(groups.shape) - groups)
    assert (error <= 0.5 * steps + FLOAT_ERROR * np.abs(groups).max(axis=-1, keepdims=True) + TINIEST).all()


@settings(deadline=None)
@given(matrices)
def test_int8_is_off_by_half_a_step_at_most(values: npt.NDArray[np.float32]) -> None:
    quantised = quantize_int8(tensor(values))
    assert_half_a_step(quantised, values)
    # The step is the least that reaches the largest value, but for its rounding to float16.
    largest = np.abs(values.reshape(len(values), -1, 32)).max(axis=-1)
    assert quantised.scales is not None
    assert (quantised.scales <= largest / 127 * (1 + 2.0**-10) + 2.0**-24).all()


@settings(deadline=None)
@given(matrices)
def test_int4_is_off_by_half_a_step_at_most(values: npt.NDArray[np.float32]) -> None:
    quantised = quantize_int4(tensor(values))
    assert_half_a_step(quantised, values)
    groups = values.reshape(len(values), -1, 32)
    spread = groups.max(axis=-1) - groups.min(axis=-1)
    largest = np.abs(groups).max(axis=-1)
    assert quantised.scales is not None
    assert (quantised.scales <= spread / 15 * (1 + 2.0**-10) + largest * 2.0**-13 + 2.0**-23).all()


@pytest.mark.parametrize("bits", [8, 4])
def test_what_is_on_the_grid_stays_exactly(bits: int) -> None:
    rng = np.random.default_rng(0)
    if bits == 8:
        q = rng.integers(-127, 128, (5, 2, 32)).astype(np.float32)
        q[..., 0] = 127
        values = (q * np.float32(0.03125)).reshape(5, 64)
        quantised = quantize_int8(tensor(values))
    else:
        q = rng.integers(0, 16, (5, 2, 32)).astype(np.float32)
        q[..., 0], q[..., 1] = 0, 15
        values = (q * np.float32(0.03125) - np.float32(0.25)).reshape(5, 64)
        quantised = quantize_int4(tensor(values))
    np.testing.assert_array_equal(quantised.dequantize(), values)


def test_many_rows_are_the_same_as_rows_by_themselves() -> None:
    values = np.random.default_rng(1).standard_normal((5000, 96)).astype(np.float32)
    for quantize in (quantize_int8, quantize_int4):
        together = quantize(tensor(values)).dequantize()
        for row in (0, 1364, 1365, 1366, 4999):
            alone = quantize(tensor(values[row : row + 1])).dequantize()
            np.testing.assert_array_equal(together[row : row + 1], alone)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 65505.0])
def test_values_that_cannot_be_quantised_name_the_tensor(bad: float) -> None:
    values = np.ones((3, 64), np.float32)
    values[1, 40] = bad
    for quantize in (quantize_int8, quantize_int4):
        with pytest.raises(CheckpointError, match="'w'"):
            quantize(tensor(values))


@pytest.mark.parametrize(("quantization", "inner"), [("int8", Format.INT8), ("int4", Format.INT4_OFFSET)])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_folder_is_quantised_while_loading(
    quantization: str, inner: Format, dtype: str, tmp_path: Path
) -> None:
    plain = open_checkpoint(tiny_folder(tmp_path, "qwen2", dtype))
    checkpoint = open_checkpoint(tmp_path, quantization)
    assert checkpoint.config == plain.config
    assert checkpoint.names() == plain.names()
    for name in checkpoint.names():
        original, quantised = plain.tensor(name), checkpoint.tensor(name)
        assert quantised.shape == original.shape == checkpoint.shape(name)
        assert quantised.format is checkpoint.format(name)
        if len(original.shape) == 1:
            assert quantised.format is original.format
        else:
            assert quantised.format is (Format.INT8 if "embed" in name else inner)
            assert_half_a_step(quantised, original.dequantize())


def test_what_is_as_small_already_stays_as_it_is(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "m.gguf", quantization="Q4_0")
    plain = open_checkpoint(path)
    for quantization in ("int8", "int4"):
        checkpoint = open_checkpoint(path, quantization)
        for name in checkpoint.names():
            assert checkpoint.format(name) is plain.format(name)
            np.testing.assert_array_equal(
                checkpoint.tensor(name).dequantize(), plain.tensor(name).dequantize()
            )


def test_int8_becomes_int4_but_for_the_outer_matrices(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tiny_gguf(tmp_path / "m.gguf", quantization="Q8_0"), "int4")
    assert checkpoint.tensor("model.layers.0.self_attn.q_proj.weight").format is Format.INT4_OFFSET
    assert checkpoint.tensor("model.embed_tokens.weight").format is Format.INT8
    assert checkpoint.tensor("lm_head.weight").format is Format.INT8


def test_an_unknown_quantization_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="'int2': choose int8 or int4"):
        open_checkpoint(tiny_folder(tmp_path), "int2")
