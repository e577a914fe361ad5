"""Programs of the architectures, what they cost and how they are shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.helpers.models import TinySizes, tiny_gguf, tiny_sizes, tiny_weights

from pagoda.execute.plan import plan
from pagoda.models import architectures, build_program
from pagoda.models.describe import describe
from pagoda.models.program import Add, Attention, GatedActivation, HeadNorm, Linear, Norm, Program, Rotary
from pagoda.weights import open_checkpoint
from pagoda.weights.tensor import Format


def program(architecture: str, tmp_path: Path, sizes: TinySizes | None = None) -> Program:
    return build_program(open_checkpoint(tiny_gguf(tmp_path / "m.gguf", architecture, sizes=sizes)).config)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_weights_and_buffers(architecture: str, tmp_path: Path) -> None:
    found = program(architecture, tmp_path)
    expected = {name: values.shape for name, values in tiny_weights(architecture).items()}
    assert found.weight_shapes() == expected
    written: set[str] = set()
    for op in found.ops:
        match op:
            case Rotary(x=x, heads=heads, head_dim=head_dim) | HeadNorm(x=x, heads=heads, head_dim=head_dim):
                assert found.buffers[x] == heads * head_dim
            case Attention():
                assert found.buffers[op.q] == found.buffers[op.out] == op.heads * op.head_dim
                assert found.buffers[op.k] == found.buffers[op.v] == op.kv_heads * op.head_dim
            case GatedActivation(gate=gate, up=up, out=out):
                assert found.buffers[gate] == found.buffers[up] == found.buffers[out]
            case Add(x=x, y=y):
                assert found.buffers[x] == found.buffers[y]
        reads = {getattr(op, name) for name in ("x", "y", "q", "k", "v", "gate", "up") if hasattr(op, name)}
        assert reads <= written, "an operation reads what nothing has written"
        written |= {op.out} if hasattr(op, "out") else set()
    assert written == set(found.buffers)


def test_architectures_differ_in_biases_and_head_norms(tmp_path: Path) -> None:
    assert architectures() == ("llama", "qwen2", "qwen3", "bert")
    biased, normed = {}, {}
    for architecture in ("llama", "qwen2", "qwen3"):
        ops = program(architecture, tmp_path).ops
        biased[architecture] = {op.out for op in ops if isinstance(op, Linear) and op.bias}
        normed[architecture] = {op.x for op in ops if isinstance(op, HeadNorm)}
    assert biased == {"llama": set(), "qwen2": {"q", "k", "v"}, "qwen3": set()}
    assert normed == {"llama": set(), "qwen2": set(), "qwen3": {"q", "k"}}


def test_tied_embeddings_are_the_last_projection(tmp_path: Path) -> None:
    tied = program("llama", tmp_path, replace(tiny_sizes("llama"), tie_word_embeddings=True))
    assert "lm_head.weight" not in tied.weight_shapes()
    assert tied.ops[-1].weight == "model.embed_tokens.weight"  # type: ignore[union-attr]


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    config = program("llama", tmp_path).config
    with pytest.raises(ValueError, match="'mamba'; known: llama, qwen2, qwen3"):
        build_program(replace(config, architecture="mamba"))


def test_plan_counts_bytes_and_operations(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tiny_gguf(tmp_path / "m.gguf", "llama", "Q4_1"))
    found = plan(build_program(checkpoint.config), checkpoint.format)
    weights = tiny_weights("llama")
    matrices = sum(values.size for values in weights.values() if values.ndim == 2)
    embedding, vectors = 320 * 64, 5 * 64
    assert found.parameters == matrices + vectors
    assert found.weight_bytes == {Format.INT4_OFFSET: matrices * 5 // 8, Format.F32: vectors * 4}
    assert found.total_weight_bytes == sum(checkpoint.tensor(name).nbytes for name in checkpoint.names())
    assert found.streamed_bytes == (matrices - embedding) * 5 // 8
    assert found.cache_values == 2 * 2 * (2 * 16)
    assert found.logits_flops == 2 * embedding
    assert found.linear_flops == 2 * (matrices - 2 * embedding)
    assert found.attention_flops == 2 * 4 * (4 * 16)
    assert found.flops(10) == found.linear_flops + found.logits_flops + 10 * found.attention_flops


def test_tied_weights_are_counted_once_but_stream_for_logits(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(tiny_gguf(tmp_path / "m.gguf", "qwen2", "Q8_0"))
    found = plan(build_program(checkpoint.config), checkpoint.format)
    assert found.parameters == sum(values.size for values in tiny_weights("qwen2").values())
    assert found.streamed_bytes == found.weight_bytes[Format.INT8]


def test_description_shows_every_kind_of_operation_once(tmp_path: Path) -> None:
    found = program("qwen3", tmp_path, replace(tiny_sizes("qwen3"), num_hidden_layers=7))
    lines = describe(found)
    assert lines[0].startswith("qwen3: 7 layers, width 64")
    assert "7 times:" in lines
    layer = sum(isinstance(op, Linear) for op in found.ops) // 7
    assert sum("Linear" in line for line in lines) == layer == 7
    assert sum("HeadNorm" in line for line in lines) == 2
    assert any("self_attn.q_proj.weight (128 x 64)" in line for line in lines)
    assert any("lm_head.weight (320 x 64)" in line for line in lines)
    assert all("model.layers" not in line for line in lines)


def test_description_tells_layers_apart_that_differ(tmp_path: Path) -> None:
    found = program("llama", tmp_path, replace(tiny_sizes("llama"), num_hidden_layers=5))
    norms = [number for number, op in enumerate(found.ops) if isinstance(op, Norm)]
    ops = list(found.ops)
    third = ops[norms[4]]
    assert isinstance(third, Norm)
    ops[norms[4]] = replace(third, eps=0.5)
    lines = describe(replace(found, ops=tuple(ops)))
    assert [line for line in lines if line.endswith("times:")] == ["2 times:", "2 times:"]
    assert sum("eps=0.5" in line for line in lines) == 1
