"""Adapters: against PEFT's stored logits, against NumPy, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.batches import whole_prompt
from tests.helpers.goldens import FOLDER, TOLERANCE
from tests.helpers.models import tiny_folder, tiny_gguf, tiny_sizes, write_safetensors_file

from pagoda.execute.base import BLOCK_SIZE
from pagoda.execute.reference import ReferenceExecutor
from pagoda.models import build_program
from pagoda.weights import CheckpointError, open_checkpoint
from pagoda.weights.folder import FolderCheckpoint
from pagoda.weights.lora import AdapterNotFoundError, LoraCheckpoint
from pagoda.weights.lora_config import read_lora_config
from pagoda.weights.tensor import Format

Q = "model.layers.1.self_attn.q_proj"
RANK = 3


@pytest.mark.parametrize(("name", "base"), [("plain", "llama"), ("patterns", "qwen3")])
def test_merged_as_peft_computes_beside_the_base(name: str, base: str) -> None:
    golden = np.load(FOLDER / "lora" / name / "golden.npz")
    tokens, logits = golden["tokens"].tolist(), golden["logits"]
    checkpoint = LoraCheckpoint(FolderCheckpoint.open(FOLDER / base), FOLDER / "lora" / name, exact=True)
    blocks = -(-len(tokens) // BLOCK_SIZE)
    executor = ReferenceExecutor(
        build_program(checkpoint.config), checkpoint, num_blocks=blocks, max_tokens=len(tokens)
    )
    found = whole_prompt(executor, tokens)
    assert np.abs(found - logits).max() <= TOLERANCE * np.abs(logits).max()


def adapter(folder: Path, rank: int = RANK, shape: tuple[int, int] = (64, 64), **config: Any) -> Path:
    """An adapter of Q for tiny models; `config` changes adapter_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    described = {"peft_type": "LORA", "r": rank, "lora_alpha": 6, "bias": "none", **config}
    (folder / "adapter_config.json").write_text(json.dumps(described))
    rng = np.random.default_rng(0)
    a = rng.standard_normal((rank, shape[1])).astype(np.float32)
    b = rng.standard_normal((shape[0], rank)).astype(np.float32)
    write(folder, {f"base_model.model.{Q}.lora_A.weight": a, f"base_model.model.{Q}.lora_B.weight": b})
    return folder


def write(folder: Path, tensors: dict[str, Any]) -> None:
    file = folder / "adapter_model.safetensors"
    write_safetensors_file(file, {name: ("float32", values) for name, values in tensors.items()})


def expected(folder: Path, base: np.ndarray, scale: float) -> np.ndarray:  # type: ignore[type-arg]
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((RANK, 64)), rng.standard_normal((64, RANK))
    return base.astype(np.float64) + scale * (b.astype(np.float32).astype(float) @ a.astype(np.float32))


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 2.0),
        ({"use_rslora": True}, 6 / math.sqrt(3)),
        ({"alpha_pattern": {"q_proj": 12}}, 4.0),
        ({"alpha_pattern": {r"layers\.0\.self_attn\.q_proj": 12}}, 2.0),
        ({"r": 8, "rank_pattern": {"layers.1.self_attn.q_proj": 3}}, 2.0),
    ],
)
def test_scales(tmp_path: Path, config: dict[str, Any], scale: float) -> None:
    base = tiny_folder(tmp_path / "base", dtype="float32")
    folder = adapter(tmp_path / "adapter", **config)
    merged = open_checkpoint(base, lora=folder)
    before = open_checkpoint(base)
    wanted = expected(folder, before.tensor(Q + ".weight").dequantize(), scale)
    np.testing.assert_allclose(merged.tensor(Q + ".weight").dequantize(), wanted, rtol=2e-6, atol=2e-6)
    for name in before.names():
        if name != Q + ".weight":
            assert merged.format(name) is before.format(name)
            assert np.array_equal(merged.tensor(name).dequantize(), before.tensor(name).dequantize())


@pytest.mark.parametrize(
    ("kind", "stored", "step"),
    [
        ("bfloat16", Format.BF16, 2.0**-7),
        ("float16", Format.F16, 2.0**-10),
        ("Q8_0", Format.INT8, 1 / 127),
        ("Q4_0", Format.INT8, 1 / 127),
        ("Q4_1", Format.INT8, 1 / 127),
        ("BF16", Format.BF16, 2.0**-7),
    ],
)
def test_the_sum_is_rounded_once_and_never_to_four_bits(
    tmp_path: Path, kind: str, stored: Format, step: float
) -> None:
    if kind in ("bfloat16", "float16"):
        base = tiny_folder(tmp_path / "base", dtype=kind)
    else:
        base = tiny_gguf(tmp_path / "base.gguf", quantization=kind)
    folder = adapter(tmp_path / "adapter")
    merged = open_checkpoint(base, lora=folder)
    assert merged.format(Q + ".weight") is stored
    tensor = merged.tensor(Q + ".weight")
    assert tensor.format is stored
    wanted = expected(folder, open_checkpoint(base).tensor(Q + ".weight").dequantize(), 2.0)
    # Half a step of the largest value that shares it, and what rounding the scale itself to float16 adds.
    largest = np.abs(wanted).reshape(64, 2, 32).max(axis=-1)[..., None] * (1 + 2.0**-10)
    bound = step * 0.5 * (largest if stored is Format.INT8 else np.abs(wanted).reshape(64, 2, 32))
    error = np.abs(tensor.dequantize() - wanted).reshape(64, 2, 32)
    assert (error <= bound + 1e-5).all()


def test_quantised_from_the_float32_sum(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path / "base")
    folder = adapter(tmp_path / "adapter")
    packed = open_checkpoint(base, "int4", lora=folder)
    assert packed.format(Q + ".weight") is Format.INT4_OFFSET
    wanted = expected(folder, open_checkpoint(base).tensor(Q + ".weight").dequantize(), 2.0)
    groups = wanted.reshape(64, 2, 32)
    spread = (groups.max(axis=-1) - groups.min(axis=-1))[..., None]
    error = np.abs(packed.tensor(Q + ".weight").dequantize().reshape(64, 2, 32) - groups)
    assert (error <= spread / 15 * 0.51 + np.abs(groups).max() * 2.0**-10).all()


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"use_dora": True}, "use_dora = True is not supported"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"bias": "all"}, "bias = all"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"init_lora_weights": "pissa_niter_4"}, "changed base weights"),
        ({"peft_type": "IA3"}, "type 'IA3' are not supported"),
        ({"r": 0}, "the rank r is '0'"),
        ({"r": True}, "the rank r is 'True'"),
        ({"lora_alpha": "big"}, "lora_alpha is 'big'"),
        ({"rank_pattern": {"(": 3}}, "pattern"),
        ({"rank_pattern": {"(a|b.)+c": 3}}, "may take for ever"),
        ({"alpha_pattern": {".*.*.*.*x": 3}}, "may take for ever"),
        ({"r": 5}, "rank and base ask for"),
    ],
)
def test_what_cannot_be_merged_is_refused(tmp_path: Path, config: dict[str, Any], told: str) -> None:
    base = tiny_folder(tmp_path / "base")
    with pytest.raises(CheckpointError, match=told) as caught:
        open_checkpoint(base, lora=adapter(tmp_path / "adapter", **config))
    assert "\n" not in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = ("peft_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "bias", "use_dora")


@given(changes=st.dictionaries(st.sampled_from((*NAMES, "init_lora_weights", "modules_to_save")), VALUES))
def test_any_configuration_is_read_or_refused_in_one_line(changes: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        content = {"peft_type": "LORA", "r": 3, "lora_alpha": 6, **changes}
        Path(folder, "adapter_config.json").write_text(json.dumps(content))
        problem, scale = "", 0.0
        try:
            scale = read_lora_config(Path(folder)).scale_of(Q)
        except CheckpointError as error:
            problem = str(error)
        assert math.isfinite(scale)
        assert "\n" not in problem


def test_tensors_without_a_place_are_refused(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path / "base")
    folder = adapter(tmp_path / "adapter")
    half = np.zeros((RANK, 64), np.float32)
    for tensors, told in (
        ({f"base_model.model.{Q}.lora_magnitude_vector": half}, "no part of a plain LoRA adapter"),
        ({"base_model.model.lm_head.weight": half}, "no part of a plain LoRA adapter"),
        ({f"base_model.model.{Q}.lora_A.weight": half}, "only one of the two"),
        ({f"base_model.model.x.y.lora_{m}.weight": half for m in "AB"}, "is for another base"),
        ({}, "holds no tensors"),
    ):
        write(folder, tensors)
        with pytest.raises(CheckpointError, match=told):
            open_checkpoint(base, lora=folder)


def test_an_adapter_for_another_size_is_refused(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path / "base")
    with pytest.raises(CheckpointError, match="for another base"):
        open_checkpoint(base, lora=adapter(tmp_path / "adapter", shape=(64, 96)))


def test_tied_embeddings_are_not_adapted(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path / "base", "qwen2")
    folder = adapter(tmp_path / "adapter")
    vocab = tiny_sizes("qwen2").vocab_size
    key = "base_model.model.model.embed_tokens.lora_embedding_"
    a, b = np.zeros((RANK, vocab), np.float32), np.zeros((64, RANK), np.float32)
    write(folder, {key + "A": a, key + "B": b})
    with pytest.raises(CheckpointError, match="embedding and as output"):
        open_checkpoint(base, lora=folder)


def test_where_there_is_no_adapter(tmp_path: Path) -> None:
    base = tiny_folder(tmp_path / "base")
    with pytest.raises(AdapterNotFoundError, match=r"No adapter found for .*adapter_config\.json"):
        open_checkpoint(base, lora=tmp_path / "absent")
    folder = adapter(tmp_path / "adapter")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(AdapterNotFoundError, match=r"adapter_model\.safetensors"):
        open_checkpoint(base, lora=folder)
    shutil.copy(base / "config.json", folder / "adapter_model.bin")
    with pytest.raises(CheckpointError, match=r"adapter_model\.bin"):
        open_checkpoint(base, lora=folder)
