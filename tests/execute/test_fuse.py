"""The fusion pass: what becomes of each architecture, and that programs it cannot express are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pagoda.execute.fuse import FusedAttention, Part, Product, Select, fuse
from pagoda.models import build_program
from pagoda.models.config import ModelConfig
from pagoda.models.program import (
    Add,
    Embed,
    GatedActivation,
    HeadNorm,
    Linear,
    Logits,
    Norm,
    Op,
    Program,
    Rotary,
)


def config(architecture: str = "llama", **changes: object) -> ModelConfig:
    base = ModelConfig(architecture, 320, 64, 96, 2, 4, 2, 16, 1e-5, 10000.0, 512, True)
    return replace(base, **changes)  # type: ignore[arg-type]


def without(program: Program, *dropped: Op) -> Program:
    return replace(program, ops=tuple(op for op in program.ops if op not in dropped))


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_a_layer_becomes_five_operations(architecture: str) -> None:
    ops = fuse(build_program(config(architecture, attention_bias=architecture == "qwen2")))
    assert len(ops) == 1 + 5 * 2 + 1 + 1
    embed, qkv, attention, out, gated, down = ops[:6]
    assert embed == Embed("hidden", "model.embed_tokens.weight")
    prefix = "model.layers.0."
    biases = [f"{prefix}self_attn.{n}_proj.bias" if architecture == "qwen2" else None for n in "qkv"]
    assert qkv == Product(
        "hidden",
        prefix + "input_layernorm.weight",
        1e-5,
        tuple(
            Part(f"{prefix}self_attn.{n}_proj.weight", bias, n) for n, bias in zip("qkv", biases, strict=True)
        ),
    )
    assert isinstance(attention, FusedAttention)
    norms = [norm and norm.weight for norm in (attention.query_norm, attention.key_norm)]
    heads = [f"{prefix}self_attn.{n}_norm.weight" for n in "qk"]
    assert norms == (heads if architecture == "qwen3" else [None, None])
    assert out == Product(
        "attention", None, 0.0, (Part(prefix + "self_attn.o_proj.weight", None, "hidden", add=True),)
    )
    assert gated == Product(
        "hidden",
        prefix + "post_attention_layernorm.weight",
        1e-5,
        (
            Part(prefix + "mlp.gate_proj.weight", None, "gate"),
            Part(prefix + "mlp.up_proj.weight", None, "up"),
        ),
        gated=True,
    )
    assert down == Product(
        "gate", None, 0.0, (Part(prefix + "mlp.down_proj.weight", None, "hidden", add=True),)
    )
    assert ops[-1] == Product(
        "hidden",
        "model.norm.weight",
        1e-5,
        (Part("model.embed_tokens.weight", None, None),),
        selected=True,
    )


def test_only_wanted_rows_run_after_the_last_attention() -> None:
    ops = fuse(build_program(config()))
    (place,) = (number for number, op in enumerate(ops) if isinstance(op, Select))
    assert ops[place] == Select(("attention", "hidden"))
    assert isinstance(ops[place - 1], FusedAttention)
    assert not any(isinstance(op, FusedAttention) for op in ops[place:])
    for number, op in enumerate(ops):
        if isinstance(op, Product):
            assert op.selected == (number > place)


def test_reading_what_is_not_kept_is_refused() -> None:
    program = build_program(config())
    cases: dict[str, tuple[Op, ...]] = {
        "it reads nowhere": (Linear("nowhere", "q", "w"),),
        "it reads projected": (*program.ops[:12], Linear("projected", "q", "w")),
        "it reads normed": (
            program.ops[0],
            Norm("hidden", "normed", "n", 1.0),
            Embed("hidden", "e"),
            Linear("normed", "q", "w"),
        ),
        "it reads up": (*program.ops[:15], Linear("up", "q", "w")),
        "it writes the rows it reads": (program.ops[0], Linear("hidden", "hidden", "w")),
        "normed already": (program.ops[0], Norm("hidden", "a", "n", 1.0), Norm("a", "b", "n", 1.0)),
        "logits are of selected rows": (program.ops[0], Logits("hidden", "w")),
        "rotated already": (program.ops[0], Rotary("hidden", 4, 16), HeadNorm("hidden", "n", 1e-5, 4, 16)),
        "just before can be added": (program.ops[0], Add("hidden", "hidden")),
        "gate and up": (program.ops[0], GatedActivation("hidden", "hidden", "gate")),
    }
    for message, ops in cases.items():
        with pytest.raises(ValueError, match=message):
            fuse(replace(program, ops=ops))


def test_attention_needs_rotated_heads() -> None:
    program = build_program(config())
    with pytest.raises(ValueError, match="rotary"):
        fuse(without(program, Rotary("k", 2, 16)))


def test_a_program_without_logits_is_refused() -> None:
    program = build_program(config())
    with pytest.raises(ValueError, match="without logits"):
        fuse(replace(program, ops=program.ops[:-1]))
    with pytest.raises(ValueError, match="without logits"):
        fuse(replace(program, ops=()))
