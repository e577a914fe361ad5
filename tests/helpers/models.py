"""Tiny seeded models as real files, so that no test needs a download.

    tiny_gguf(path)                       a GGUF file: architecture "llama", Q8_0
    tiny_gguf(path, "qwen3", "Q4_1")      other architectures and formats: F32 F16 BF16 Q8_0 Q4_0 Q4_1
    tiny_folder(path)                     a folder as on Hugging Face: config.json, safetensors, tokenizer
    tiny_folder(path, "qwen2", "float16", shards=3)

Both take `seed` and `sizes` (see TinySizes). The same architecture, seed and sizes give the same float32
weights, so a GGUF file in F32 and a folder in float32 are the same model.

The tokenizer is a byte-level BPE of 320 tokens and is the same in all of them: ids 0..255 are the bytes in
the order of `byte_alphabet`, then MERGES, then "<|endoftext|>" (317), "<|im_start|>" (318) and "<|im_end|>"
(319, the end of an answer). The chat template is ChatML. The models are random: they answer with any
bytes, so texts are not always valid UTF-8, and an end token can come at any time (use ignore_eos for a fixed
length).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

Array = npt.NDArray[np.float32]

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
#: pairs joined to one token, in order; "Ġ" stands for a space in byte-level BPE
_MERGES = (
    "Ġ+t h+e a+n i+n Ġt+he r+e o+n Ġ+a e+r Ġ+s n+d o+r Ġ+w e+n i+s Ġ+o e+s i+t Ġ+c a+t Ġa+nd in+g Ġ+b "
    "Ġ+f o+u Ġ+p e+d a+l a+r Ġ+m l+l Ġ+d Ġ+in Ġt+o Ġo+f Ġ+h i+c l+e Ġ+I Ġ+re o+m a+s Ġ+e Ġ+is v+e Ġ+n "
    "Ġ+l i+on Ġ+g y+ou u+t i+l Ġf+or c+e Ġw+h u+r e+l a+m Ġb+e o+t Ġ+on"
)
MERGES = tuple(pair.replace("+", " ") for pair in _MERGES.split())


@dataclass(frozen=True, slots=True)
class TinySizes:
    """Sizes of a tiny model; every width is a multiple of 32, so that it can be quantised."""

    vocab_size: int = 320
    hidden_size: int = 64
    intermediate_size: int = 96
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 16
    max_position_embeddings: int = 512
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = False


def tiny_sizes(architecture: str) -> TinySizes:
    """The sizes a tiny model has unless others are asked for: they differ where architectures do."""
    match architecture:
        case "qwen2":
            return TinySizes(rope_theta=1e6, rms_norm_eps=1e-6, tie_word_embeddings=True)
        case "qwen3":
            return TinySizes(rope_theta=1e6, rms_norm_eps=1e-6, head_dim=32)
    return TinySizes()


def tiny_weights(
    architecture: str = "llama", seed: int = 0, sizes: TinySizes | None = None
) -> dict[str, Array]:
    """Random weights by Hugging Face's names, scaled so that logits spread over a few units."""
    sizes = sizes or tiny_sizes(architecture)
    rng = np.random.default_rng([seed, *architecture.encode()])
    heads, kv_heads = sizes.num_attention_heads * sizes.head_dim, sizes.num_key_value_heads * sizes.head_dim
    hidden, inner = sizes.hidden_size, sizes.intermediate_size

    def matrix(rows: int, columns: int) -> Array:
        return (rng.standard_normal((rows, columns)) * columns**-0.5 * 1.5).astype(np.float32)

    def vector(size: int, mean: float) -> Array:
        return (mean + 0.2 * rng.standard_normal(size)).astype(np.float32)

    weights = {"model.embed_tokens.weight": matrix(sizes.vocab_size, hidden)}
    for layer in range(sizes.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        attention = prefix + "self_attn."
        weights[prefix + "input_layernorm.weight"] = vector(hidden, 1.0)
        for name, rows in (("q_proj", heads), ("k_proj", kv_heads), ("v_proj", kv_heads)):
            weights[f"{attention}{name}.weight"] = matrix(rows, hidden)
            if architecture == "qwen2":
                weights[f"{attention}{name}.bias"] = vector(rows, 0.0)
        if architecture == "qwen3":
            weights[attention + "q_norm.weight"] = vector(sizes.head_dim, 1.0)
            weights[attention + "k_norm.weight"] = vector(sizes.head_dim, 1.0)
        weights[attention + "o_proj.weight"] = matrix(hidden, heads)
        weights[prefix + "post_attention_layernorm.weight"] = vector(hidden, 1.0)
        weights[prefix + "mlp.gate_proj.weight"] = matrix(inner, hidden)
        weights[prefix + "mlp.up_proj.weight"] = matrix(inner, hidden)
        weights[prefix + "mlp.down_proj.weight"] = matrix(hidden, inner)
    weights["model.norm.weight"] = vector(hidden, 1.0)
    if not sizes.tie_word_embeddings:
        weights["lm_head.weight"] = matrix(sizes.vocab_size, hidden)
    return weights


def tiny_gguf(
    path: Path,
    architecture: str = "llama",
    quantization: str = "Q8_0",
    seed: int = 0,
    sizes: TinySizes | None = None,
    extra: dict[str, int | float | str] | None = None,
    tensors: dict[str, Array | tuple[npt.NDArray[np.uint8], str]] | None = None,
) -> Path:
    """Writes a GGUF file as llama.cpp's converter would.

    extra: metadata to add or to replace. tensors: likewise, by GGUF's names: float32 values, or bytes as
    (rows, bytes of a row) with the name of their type.
    """
    sizes = sizes or tiny_sizes(architecture)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(f"Tiny {architecture}")
    writer.add_block_count(sizes.num_hidden_layers)
    writer.add_context_length(sizes.max_position_embeddings)
    writer.add_embedding_length(sizes.hidden_size)
    writer.add_feed_forward_length(sizes.intermediate_size)
    writer.add_head_count(sizes.num_attention_heads)
    writer.add_head_count_kv(sizes.num_key_value_heads)
    writer.add_key_length(sizes.head_dim)
    writer.add_value_length(sizes.head_dim)
    writer.add_rope_freq_base(sizes.rope_theta)
    writer.add_layer_norm_rms_eps(sizes.rms_norm_eps)
    tokens = vocabulary(sizes.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2" if architecture.startswith("qwen") else "smollm")
    writer.add_token_list(tokens)
    control, unused, normal = gguf.TokenType.CONTROL, gguf.TokenType.UNUSED, gguf.TokenType.NORMAL
    writer.add_token_types(
        [control if t in SPECIAL_TOKENS else unused if t.startswith("<|unused") else normal for t in tokens]
    )
    writer.add_token_merges(list(MERGES))
    writer.add_bos_token_id(tokens.index("<|im_start|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
    for key, value in (extra or {}).items():
        kind = {
            int: gguf.GGUFValueType.UINT32,
            float: gguf.GGUFValueType.FLOAT32,
            str: gguf.GGUFValueType.STRING,
        }
        writer.kv_data[0].pop(key, None)
        writer.add_key_value(key, value, kind[type(value)])
    others = dict(tensors or {})
    for name, values in tiny_weights(architecture, seed, sizes).items():
        if gguf_name(name) in others:
            continue
        if architecture == "llama":
            values = neighbour_pairs(name, values, sizes)
        kind = gguf.GGMLQuantizationType[quantization if values.ndim == 2 else "F32"]
        writer.add_tensor(gguf_name(name), gguf.quantize(values, kind), raw_dtype=kind)
    for name, given in others.items():
        if isinstance(given, tuple):
            writer.add_tensor(name, given[0], raw_dtype=gguf.GGMLQuantizationType[given[1]])
        else:
            writer.add_tensor(name, given)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tiny_folder(
    path: Path,
    architecture: str = "llama",
    dtype: str = "bfloat16",
    seed: int = 0,
    sizes: TinySizes | None = None,
    shards: int = 1,
    config: dict[str, Any] | None = None,
) -> Path:
    """Writes a folder as on Hugging Face; `config` adds to config.json. Returns path."""
    sizes = sizes or tiny_sizes(architecture)
    path.mkdir(parents=True, exist_ok=True)
    names = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}
    tokens = vocabulary(sizes.vocab_size)
    described: dict[str, Any] = {
        "architectures": [names[architecture]],
        "model_type": architecture,
        "hidden_act": "silu",
        "torch_dtype": dtype,
        "bos_token_id": tokens.index("<|im_start|>"),
        "eos_token_id": tokens.index("<|im_end|>"),
        **{name: getattr(sizes, name) for name in TinySizes.__dataclass_fields__},
        **(config or {}),
    }
    (path / "config.json").write_text(json.dumps(described, indent=2))
    generation = {"eos_token_id": [tokens.index("<|im_end|>"), tokens.index("<|endoftext|>")]}
    (path / "generation_config.json").write_text(json.dumps(generation))
    tiny_tokenizer(sizes.vocab_size).save(str(path / "tokenizer.json"))
    tokenizer_config = {
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "chat_template": CHAT_TEMPLATE,
    }
    (path / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    write_safetensors(path, tiny_weights(architecture, seed, sizes), dtype, shards)
    return path


def write_safetensors(
    path: Path, weights: dict[str, Array], dtype: str = "bfloat16", shards: int = 1
) -> None:
    """model.safetensors in a folder, or `shards` files with an index; dtype bfloat16, float16 or float32."""
    parts: list[dict[str, Array]] = [{} for _ in range(shards)]
    for number, (name, values) in enumerate(weights.items()):
        parts[number % shards][name] = values
    files = [
        f"model-{i + 1:05}-of-{shards:05}.safetensors" if shards > 1 else "model.safetensors"
        for i in range(shards)
    ]
    for file, part in zip(files, parts, strict=True):
        write_safetensors_file(path / file, {name: (dtype, values) for name, values in part.items()})
    if shards > 1:
        weight_map = {name: file for file, part in zip(files, parts, strict=True) for name in part}
        (path / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {}, "weight_map": weight_map})
        )


def write_safetensors_file(path: Path, tensors: dict[str, tuple[str, Array]]) -> None:
    """One file: the length of a JSON header, the header, the tensors one after another."""
    kinds = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (dtype, values) in tensors.items():
        start = len(data)
        data += encode(values, dtype)
        header[name] = {
            "dtype": kinds[dtype],
            "shape": list(values.shape),
            "data_offsets": [start, len(data)],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def encode(values: Array, dtype: str) -> bytes:
    """float32 values as little-endian bytes of another float type (bfloat16 rounds to nearest even)."""
    if dtype == "bfloat16":
        bits = np.ascontiguousarray(values).view(np.uint32).astype(np.uint64)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
    return values.astype({"float16": "<f2", "float32": "<f4"}[dtype]).tobytes()


def neighbour_pairs(name: str, values: Array, sizes: TinySizes) -> Array:
    """Rows of q and k in the order of GGUF's llama files: (i, i + head_dim / 2) become neighbours."""
    heads = {"q_proj": sizes.num_attention_heads, "k_proj": sizes.num_key_value_heads}.get(
        name.split(".")[-2]
    )
    if heads is None or "self_attn" not in name:
        return values
    halves = values.reshape(heads, 2, -1, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)


def gguf_name(name: str) -> str:
    """GGUF's name of a tensor, by the gguf package's own table."""
    found = _gguf_names().get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise KeyError(name)
    return str(found)


@cache
def _gguf_names() -> gguf.TensorNameMap:
    return gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN3, 8)


def byte_alphabet() -> list[str]:
    """The 256 characters that stand for bytes in byte-level BPE, printable ones for themselves, sorted."""
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def vocabulary(size: int = 320) -> list[str]:
    """Tokens by id; past the 320 of the tiny tokenizer they are unused ones."""
    tokens = [*byte_alphabet(), *("".join(pair.split(" ")) for pair in MERGES), *SPECIAL_TOKENS]
    return tokens + [f"<|unused_{number}|>" for number in range(len(tokens), size)]


def tiny_tokenizer(size: int = 320) -> Tokenizer:
    """The tokenizer of the tiny models."""
    tokens = vocabulary(size)
    vocab = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[tuple(pair.split(" ")) for pair in MERGES]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    return tokenizer
