"""Folders as on Hugging Face, with the safetensors library as oracle, and folders that cannot be run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from tests.helpers.models import encode, tiny_folder, tiny_sizes, tiny_weights, write_safetensors

from pagoda.models.config import RopeScaling
from pagoda.weights import open_checkpoint
from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.safetensors import SafetensorsFile
from pagoda.weights.tensor import Format

in_one_folder = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@in_one_folder
@given(
    shapes=st.dictionaries(
        st.text(min_size=1, max_size=9), st.lists(st.integers(1, 9), max_size=3), min_size=1, max_size=5
    ),
    half=st.booleans(),
)
def test_reads_what_the_safetensors_library_writes(
    shapes: dict[str, list[int]], half: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    dtype = np.float16 if half else np.float32
    written = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    written.pop("__metadata__", None)
    save_file({name: np.asarray(values) for name, values in written.items()}, str(tmp_path / "x.safetensors"))
    file = SafetensorsFile.open(tmp_path / "x.safetensors")
    assert set(file.tensors) == set(written)
    for name, values in written.items():
        tensor = file.tensor(name)
        assert tensor.format is (Format.F16 if half else Format.F32)
        np.testing.assert_array_equal(tensor.data, values)


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_values_and_sizes(architecture: str, dtype: str, shards: int, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tiny_folder(tmp_path, architecture, dtype, seed=2, shards=shards))
    for name, values in tiny_weights(architecture, seed=2).items():
        tensor = checkpoint.tensor(name)
        assert tensor.format is checkpoint.format(name)
        assert tensor.format.name == {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[dtype]
        assert tensor.data.tobytes() == encode(values, dtype)
        assert not tensor.data.flags.owndata
        step = {"float32": 0.0, "float16": 2.0**-11, "bfloat16": 2.0**-8}[dtype]
        np.testing.assert_allclose(tensor.dequantize(), values, rtol=step, atol=2.0**-24 if step else 0)
    sizes, config = tiny_sizes(architecture), checkpoint.config
    for field in type(sizes).__dataclass_fields__:
        assert getattr(config, field) == getattr(sizes, field)
    assert config.architecture == architecture
    assert config.attention_bias is (architecture == "qwen2")
    assert (config.bos_token_id, config.eos_token_ids) == (318, (319, 317))
    assert checkpoint.generation_config == {"eos_token_id": [319, 317]}


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}


@pytest.mark.parametrize(
    ("config", "theta", "scaling"),
    [
        ({"rope_theta": 5000}, 5000.0, None),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 7e5}}, 7e5, None),
        ({"rope_scaling": None}, 10000.0, None),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, 10000.0, RopeScaling("linear", 2.0)),
        ({"rope_scaling": LLAMA3}, 10000.0, RopeScaling("llama3", 8.0, 128, 1.0, 4.0)),
        ({"rope_parameters": {**LLAMA3, "rope_theta": 5e5}}, 5e5, RopeScaling("llama3", 8.0, 128, 1.0, 4.0)),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}},
            10000.0,
            RopeScaling("yarn", 4.0, 64),
        ),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "beta_fast": 16, "attention_factor": 1.5}},
            10000.0,
            RopeScaling("yarn", 4.0, 512, beta_fast=16.0, attention_factor=1.5),
        ),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "mscale": 1.0, "mscale_all_dim": 1.0}},
            10000.0,
            RopeScaling("yarn", 4.0, 512, attention_factor=1.0),
        ),
    ],
)
def test_rotary_parameters_of_transformers_4_and_5(
    config: dict[str, Any], theta: float, scaling: RopeScaling | None, tmp_path: Path
) -> None:
    found = open_checkpoint(tiny_folder(tmp_path, config=config)).config
    assert found.rope_theta == theta
    assert found.rope_scaling == scaling


@pytest.mark.parametrize(
    ("ends", "generation", "expected"),
    [
        (7, None, (7,)),
        ([7, 9], {"eos_token_id": 9}, (7, 9)),
        (None, {"eos_token_id": [3, 5, 3]}, (3, 5)),
        (None, None, ()),
        (-1, {"eos_token_id": 320}, ()),
    ],
)
def test_end_tokens(ends: Any, generation: Any, expected: tuple[int, ...], tmp_path: Path) -> None:
    tiny_folder(tmp_path, config={"eos_token_id": ends})
    (tmp_path / "generation_config.json").unlink()
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation))
    assert open_checkpoint(tmp_path).config.eos_token_ids == expected


def test_biases_follow_the_config(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no tensor 'model.layers.0.self_attn.q_proj.bias'"):
        open_checkpoint(tiny_folder(tmp_path, config={"attention_bias": True}))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architectures": ["MambaForCausalLM"]}, "'MambaForCausalLM' is not supported"),
        ({"architectures": None}, "'unknown' is not supported"),
        ({"architectures": 7}, "'unknown' is not supported"),
        ({"hidden_size": None}, "lacks 'hidden_size'"),
        ({"hidden_size": "64"}, "'hidden_size' is '64', not int"),
        ({"hidden_size": 64.5}, "not int"),
        ({"hidden_size": 96}, "has shape"),
        ({"vocab_size": 256}, "has shape"),
        ({"num_hidden_layers": 3}, "no tensor 'model.layers.2"),
        ({"num_hidden_layers": 10**6}, "1,000,000 layers"),
        ({"num_hidden_layers": -1}, "number of layers is -1"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"num_key_value_heads": 3}, "share"),
        ({"head_dim": 15}, "head size of 15"),
        ({"head_dim": 10**9}, "head size"),
        ({"rope_theta": float("nan")}, "rotary base"),
        ({"rms_norm_eps": float("inf")}, "epsilon"),
        ({"hidden_act": "gelu"}, "'gelu' is not supported"),
        ({"use_sliding_window": True}, "sliding-window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "full_attention"),
        ({"quantization_config": {"quant_method": "gptq"}}, "--quantization"),
        ({"partial_rotary_factor": 0.5}, "part of each head"),
        ({"rope_scaling": {"rope_type": "longrope", "factor": 2.0}}, "'longrope' is not supported"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 0.5}}, "below 1"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "truncate": False}}, "truncation"),
        ({"rope_scaling": {"rope_type": "linear"}}, "lacks 'factor'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "beta_fast": 1e300}}, "cannot be right"),
        ({"rope_theta": 10**400}, "'rope_theta' is '1000"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 0.0}}, "cannot be right"),
        ({"rope_scaling": {**LLAMA3, "high_freq_factor": 1.0}}, "high_freq_factor"),
        ({"rope_scaling": {**LLAMA3, "original_max_position_embeddings": 0}}, "original_max_position"),
        ({"rope_scaling": ["linear"]}, "not an object"),
    ],
)
def test_a_config_that_cannot_be_used_is_one_clear_line(
    config: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tiny_folder(tmp_path, config=config)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_tensors_that_are_missing_or_misshaped_are_named(tmp_path: Path) -> None:
    tiny_folder(tmp_path)
    weights = tiny_weights()
    name = "model.layers.1.mlp.up_proj.weight"
    write_safetensors(tmp_path, {key: values for key, values in weights.items() if key != name})
    with pytest.raises(CheckpointError, match=f"no tensor '{name}'"):
        open_checkpoint(tmp_path)
    write_safetensors(tmp_path, {**weights, name: weights[name].T})
    with pytest.raises(CheckpointError, match=rf"{name}' has shape \(64, 96\), .* \(96, 64\)"):
        open_checkpoint(tmp_path)


def test_folders_with_files_missing_or_damaged(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        open_checkpoint(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        open_checkpoint(tmp_path)
    tiny_folder(tmp_path, shards=2)
    index = tmp_path / "model.safetensors.index.json"
    good = index.read_text()
    first = tmp_path / "model-00001-of-00002.safetensors"
    content = first.read_bytes()
    for bad, message in (
        ("{", "not valid JSON"),
        ("[]", "no JSON object"),
        ("{}", "no weight_map"),
        (good.replace("model-00001", "../model-00001"), "outside its folder"),
        (good.replace("model-00001", "model-00009"), "lacks 'model-00009"),
    ):
        index.write_text(bad)
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(tmp_path)
    index.write_text(good)
    second = tmp_path / "model-00002-of-00002.safetensors"
    second.write_bytes(content)
    with pytest.raises(CheckpointError, match="is in model-00001"):
        open_checkpoint(tmp_path)
    index.unlink()
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor"):
        open_checkpoint(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"\.bin files"):
        open_checkpoint(tmp_path)
    for bad in (b"{", b"\xff", b"[1]"):
        (tmp_path / "config.json").write_bytes(bad)
        with pytest.raises(CheckpointError, match="JSON"):
            open_checkpoint(tmp_path)


def header(text: str | bytes, data: bytes = b"") -> bytes:
    encoded = text.encode() if isinstance(text, str) else text
    return len(encoded).to_bytes(8, "little") + encoded + data


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


BROKEN = {
    "empty": (b"", "too short"),
    "seven bytes": (b"1234567", "too short"),
    "endless header": (b"\xff" * 8 + b"{}", "not a safetensors file"),
    "header cut short": ((50).to_bytes(8, "little") + b"{}", "header alone needs 58"),
    "no JSON": (header("{'a': 1}"), "not JSON"),
    "no UTF-8": (header(b'{"\xff": 1}'), "not JSON"),
    "deep": (header("[" * 100_000), "not JSON"),
    "a list": (header("[]"), "not an object"),
    "name twice": (header('{"a": 1, "a": 2}'), "twice"),
    "no entry": (header('{"a": 1}'), "'a' wrongly"),
    "no shape": (header('{"a": {"dtype": "F32", "data_offsets": [0, 8]}}'), "'a' wrongly"),
    "unknown type": (header(json.dumps({"a": entry("F7")}), b"\0" * 8), "'a' wrongly"),
    "negative size": (header(json.dumps({"a": entry(shape=[-2])}), b"\0" * 8), "'a' wrongly"),
    "float size": (header(json.dumps({"a": entry(shape=[2.0])}), b"\0" * 8), "'a' wrongly"),
    "offsets backwards": (header(json.dumps({"a": entry(offsets=[8, 0])}), b"\0" * 8), "'a' wrongly"),
    "too few bytes": (header(json.dumps({"a": entry(offsets=[0, 4])}), b"\0" * 8), "'a' wrongly"),
    "sizes that overflow": (header(json.dumps({"a": entry(shape=[2**40, 2**40])}), b"\0" * 8), "'a' wrongly"),
    "hole": (header(json.dumps({"a": entry(offsets=[8, 16])}), b"\0" * 16), "'a' does not follow"),
    "overlap": (
        header(json.dumps({"a": entry(), "b": entry(offsets=[4, 12])}), b"\0" * 16),
        "'b' does not follow",
    ),
    "data cut short": (header(json.dumps({"a": entry()}), b"\0" * 7), "the download was cut short"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_clear_line(case: str, tmp_path: Path) -> None:
    content, message = BROKEN[case]
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        SafetensorsFile.open(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_type_that_is_not_supported_is_named(tmp_path: Path) -> None:
    save_file({"a": np.zeros(3, np.int64)}, str(tmp_path / "x.safetensors"))
    file = SafetensorsFile.open(tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="'a' as I64; Pagoda reads F32, F16, BF16"):
        file.tensor("a")


def test_closing_keeps_views_and_refuses_new_ones(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tiny_folder(tmp_path))
    tensor = checkpoint.tensor("model.norm.weight")
    before = tensor.dequantize().copy()
    checkpoint.close()
    np.testing.assert_array_equal(tensor.dequantize(), before)
    with pytest.raises(CheckpointError, match="has been closed"):
        checkpoint.tensor("model.norm.weight")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_never_do_more_than_a_checkpoint_error(data: st.DataObject, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    if not folder.exists():
        tiny_folder(folder)
        for name in ("config.json", "model.safetensors"):
            (tmp_path / name).write_bytes((folder / name).read_bytes())
    for name, most in (("config.json", 700), ("model.safetensors", 2500)):
        content = bytearray((tmp_path / name).read_bytes())
        for _ in range(data.draw(st.integers(0, 2))):
            at = data.draw(st.integers(0, most))
            pieces = st.one_of(
                st.binary(min_size=1, max_size=4), st.sampled_from([b"null", b"-1", b"1e9", b"[]"])
            )
            piece = data.draw(pieces)
            content[at : at + len(piece)] = piece
        if data.draw(st.integers(0, 9)) == 0:
            del content[data.draw(st.integers(0, len(content))) :]
        (folder / name).unlink()
        (folder / name).write_bytes(content)
    try:
        checkpoint = open_checkpoint(folder)
        for name in checkpoint.names():
            checkpoint.tensor(name).dequantize()
    except CheckpointError as error:
        assert "\n" not in str(error)  # noqa: PT017
