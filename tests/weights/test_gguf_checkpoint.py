"""GGUF files as checkpoints, with the gguf package as oracle, and files that cannot be run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.helpers.models import TinySizes, gguf_name, tiny_gguf, tiny_sizes, tiny_weights

from pagoda.models import build_program
from pagoda.models.config import RopeScaling
from pagoda.weights import open_checkpoint
from pagoda.weights.checkpoint import CheckpointError
from pagoda.weights.gguf_checkpoint import GGUFCheckpoint, end_token_ids
from pagoda.weights.tensor import Format

FORMATS = {
    "F32": Format.F32,
    "F16": Format.F16,
    "BF16": Format.BF16,
    "Q8_0": Format.INT8,
    "Q4_0": Format.INT4,
    "Q4_1": Format.INT4_OFFSET,
}


@pytest.mark.parametrize("quantization", FORMATS)
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_values_are_those_of_the_gguf_package(architecture: str, quantization: str, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tiny_gguf(tmp_path / "m.gguf", architecture, quantization, seed=1))
    weights = tiny_weights(architecture, seed=1)
    assert set(checkpoint.names()) == set(weights) == set(build_program(checkpoint.config).weight_shapes())
    for name, values in weights.items():
        tensor = checkpoint.tensor(name)
        kind = gguf.GGMLQuantizationType[quantization if values.ndim == 2 else "F32"]
        # Quantised row by row: the order of the rows, which llama files permute, makes no difference here.
        expected = gguf.dequantize(gguf.quantize(values, kind), kind)
        assert tensor.format is checkpoint.format(name) is FORMATS[kind.name]
        assert tensor.shape == checkpoint.shape(name) == values.shape
        np.testing.assert_array_equal(tensor.dequantize(), expected)
        assert tensor.nbytes == tensor.format.nbytes(values.size)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    quantization=st.sampled_from(["F16", "Q8_0", "Q4_0", "Q4_1"]),
    heads=st.sampled_from([(1, 1), (4, 1), (3, 3), (6, 2)]),
    head_dim=st.sampled_from([2, 8, 32]),
)
def test_any_heads_are_put_back_in_order(
    seed: int, quantization: str, heads: tuple[int, int], head_dim: int, tmp_path: Path
) -> None:
    sizes = TinySizes(
        num_attention_heads=heads[0], num_key_value_heads=heads[1], head_dim=head_dim, num_hidden_layers=1
    )
    weights = tiny_weights("llama", seed, sizes)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    for key, value in {"block_count": 1, "context_length": 64, "embedding_length": 64}.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_feed_forward_length(sizes.intermediate_size)
    writer.add_head_count(heads[0])
    writer.add_head_count_kv(heads[1])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    kind = gguf.GGMLQuantizationType[quantization]
    for name in ("self_attn.q_proj.weight", "self_attn.k_proj.weight"):
        name = "model.layers.0." + name
        count = heads["k_proj" in name]
        rows = weights[name]
        # Row 2 i of a head is row i of its first half, row 2 i + 1 is row i of its second half.
        order = [
            head * head_dim + half * head_dim // 2 + i
            for head in range(count)
            for i in range(head_dim // 2)
            for half in (0, 1)
        ]
        writer.add_tensor(gguf_name(name), gguf.quantize(rows[order], kind), raw_dtype=kind)
    writer.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    checkpoint = GGUFCheckpoint.open(tmp_path / "m.gguf")
    for name in ("self_attn.q_proj.weight", "self_attn.k_proj.weight"):
        name = "model.layers.0." + name
        expected = gguf.dequantize(gguf.quantize(weights[name], kind), kind)
        np.testing.assert_array_equal(checkpoint.tensor(name).dequantize(), expected)
    (tmp_path / "m.gguf").unlink()


def test_tensors_are_views_of_the_file_where_no_row_moves(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tiny_gguf(tmp_path / "m.gguf", "llama", "Q4_1"))
    tensor = checkpoint.tensor("model.layers.1.mlp.down_proj.weight")
    assert tensor.scales is not None
    assert tensor.offsets is not None
    for part in (tensor.data, tensor.scales, tensor.offsets):
        assert not part.flags.owndata
        assert not part.flags.writeable
    # One block of 20 bytes after another: scale, offset, 16 bytes of values.
    assert tensor.data.strides == (3 * 20, 20, 1)
    assert tensor.scales.strides == tensor.offsets.strides == (3 * 20, 20)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_sizes(architecture: str, tmp_path: Path) -> None:
    sizes = tiny_sizes(architecture)
    config = open_checkpoint(tiny_gguf(tmp_path / "m.gguf", architecture)).config
    for field in TinySizes.__dataclass_fields__:
        assert getattr(config, field) == pytest.approx(getattr(sizes, field), rel=1e-7)
    assert config.architecture == architecture
    assert config.attention_bias is (architecture == "qwen2")
    assert not config.attention_out_bias
    assert not config.mlp_bias
    assert config.rope_scaling is None
    assert (config.bos_token_id, config.eos_token_ids, config.pad_token_id) == (318, (319, 317), 317)
    assert config.name == f"Tiny {architecture}"


def test_end_tokens_are_the_named_ones_and_the_control_tokens_known_by_text() -> None:
    metadata: dict[str, Any] = {
        "tokenizer.ggml.tokens": ["a", "<|eot_id|>", "<|im_end|>", "<|endoftext|>", "b"],
        "tokenizer.ggml.token_type": [1, 3, 1, 3, 1],
        "tokenizer.ggml.eos_token_id": 4,
        "tokenizer.ggml.eot_token_id": 1,
        "tokenizer.ggml.eom_token_id": 77,
    }
    assert end_token_ids(metadata, 5) == (4, 1, 3)
    assert end_token_ids({}, 5) == ()


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, None),
        ({"llama.rope.scaling.type": "none"}, None),
        ({"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}, RopeScaling("linear", 4.0)),
        ({"llama.rope.scale_linear": 2.0}, RopeScaling("linear", 2.0)),
    ],
)
def test_rope_scaling(extra: dict[str, Any], expected: RopeScaling | None, tmp_path: Path) -> None:
    assert open_checkpoint(tiny_gguf(tmp_path / "m.gguf", extra=extra)).config.rope_scaling == expected


def test_yarn(tmp_path: Path) -> None:
    extra: dict[str, Any] = {
        "qwen2.rope.scaling.type": "yarn",
        "qwen2.rope.scaling.factor": 4.0,
        "qwen2.rope.scaling.original_context_length": 128,
    }
    scaling = open_checkpoint(tiny_gguf(tmp_path / "m.gguf", "qwen2", extra=extra)).config.rope_scaling
    assert scaling is not None
    assert (scaling.kind, scaling.factor, scaling.original_max_position_embeddings) == ("yarn", 4.0, 128)
    assert scaling.attention_factor == pytest.approx(0.1 * np.log(4.0) + 1.0)


def test_rotary_factors_as_a_tensor(tmp_path: Path) -> None:
    factors = np.linspace(1, 8, 8, dtype=np.float32)
    path = tiny_gguf(tmp_path / "m.gguf", tensors={"rope_freqs.weight": factors})
    checkpoint = open_checkpoint(path)
    assert checkpoint.config.rope_scaling == RopeScaling(
        "factors", 1.0, frequency_factors=tuple(map(float, factors))
    )
    plain = build_program(open_checkpoint(tiny_gguf(tmp_path / "plain.gguf")).config)
    np.testing.assert_allclose(build_program(checkpoint.config).inv_freq, plain.inv_freq / factors, rtol=1e-6)
    assert "rope_freqs.weight" not in checkpoint.names()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"llama.block_count": 0}, "number of layers is 0"),
        ({"llama.block_count": 2**31}, "number of layers"),
        ({"llama.block_count": 1000}, "1,000 layers but has"),
        ({"llama.block_count": 3}, "no tensor 'model.layers.2"),
        ({"llama.block_count": "2"}, "'llama.block_count' is '2', not one int"),
        ({"llama.attention.head_count": 0}, "attention heads is 0"),
        ({"llama.attention.head_count": 3}, "share"),
        ({"llama.attention.head_count": 8}, "has shape"),
        ({"llama.attention.head_count_kv": 0}, "key-value heads is 0"),
        ({"llama.attention.key_length": 15}, "differ in size"),
        ({"llama.rope.dimension_count": 8}, "part of each head"),
        ({"llama.embedding_length": 96}, "has shape"),
        ({"llama.feed_forward_length": 2**30}, "has shape"),
        ({"llama.context_length": 0}, "context length is 0"),
        ({"llama.rope.freq_base": 0.0}, "rotary base"),
        ({"llama.rope.freq_base": float("nan")}, "rotary base"),
        ({"llama.attention.layer_norm_rms_epsilon": float("inf")}, "epsilon"),
        ({"llama.expert_count": 8}, "mixture of experts"),
        ({"llama.attention.sliding_window": 128}, "sliding-window"),
        ({"split.count": 2}, "one part of several"),
        ({"llama.rope.scaling.type": "longrope"}, "'longrope' is not supported"),
        ({"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0}, "lacks"),
        ({"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": -1.0}, "cannot be right"),
    ],
)
def test_metadata_that_cannot_be_used_is_one_clear_line(
    extra: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tiny_gguf(tmp_path / "m.gguf", extra=extra)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_unknown_architecture_says_which_ones_run(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(CheckpointError, match="'mamba'; Pagoda runs llama, qwen2, qwen3"):
        open_checkpoint(tmp_path / "m.gguf")


def test_a_type_that_is_not_supported_names_the_tensor_and_those_that_are(tmp_path: Path) -> None:
    bad = np.zeros((64, 22 * 3), np.uint8)
    path = tiny_gguf(tmp_path / "m.gguf", tensors={"blk.1.ffn_down.weight": (bad, "Q5_0")})
    with pytest.raises(CheckpointError, match=r"'blk.1.ffn_down.weight' is stored as Q5_0; .* Q4_1"):
        open_checkpoint(path)


def test_rotary_factors_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for number, factors in enumerate(([1.0] * 7, [0.0] * 8, [float("nan")] * 8, [1e-45] * 8)):
        path = tiny_gguf(
            tmp_path / f"{number}.gguf", tensors={"rope_freqs.weight": np.array(factors, np.float32)}
        )
        with pytest.raises(CheckpointError, match=r"rot|rope"):
            open_checkpoint(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_never_do_more_than_a_checkpoint_error(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    source = tmp_path / "whole.gguf"
    if not source.exists():
        tiny_gguf(source, "llama", "Q4_1", sizes=TinySizes(num_hidden_layers=1, hidden_size=32))
    content = bytearray(source.read_bytes())
    header = 13_000  # where the tensors begin, roughly: damage there is more interesting than in the values
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(
            st.one_of(st.integers(0, 1200), st.integers(0, header), st.integers(0, len(content) - 9))
        )
        with_what = data.draw(
            st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 8]))
        )
        content[at : at + len(with_what)] = with_what
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    path.write_bytes(content)
    try:
        checkpoint = open_checkpoint(path)
        for name in checkpoint.names():
            checkpoint.tensor(name).dequantize()
    except CheckpointError as error:
        assert "\n" not in str(error)  # noqa: PT017
