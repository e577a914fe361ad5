"""A GGUF file as a checkpoint: its metadata as ModelConfig, its tensors under Hugging Face's names.

Keys of the metadata: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pagoda.models.config import ModelConfig, RopeScaling
from pagoda.weights.checkpoint import CheckpointError, check_config
from pagoda.weights.gguf import GGUFFile, TensorInfo
from pagoda.weights.gguf_tensors import FORMATS, as_tensor, hugging_face_name, rows_of_neighbour_pairs
from pagoda.weights.tensor import Format, Tensor

ARCHITECTURES = ("llama", "qwen2", "qwen3")
#: texts of control tokens that end an answer, for files whose metadata names only one of theirs
END_TOKENS = ("<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>")

_CONTROL = 3  # tokenizer.ggml.token_type of a control token
_ROPE_FACTORS = "rope_freqs.weight"
_Number = TypeVar("_Number", int, float)


class GGUFCheckpoint:
    """An opened GGUF file of one of ARCHITECTURES. Raises CheckpointError for what cannot be used."""

    def __init__(self, file: GGUFFile) -> None:
        self._file = file
        self._tensors: dict[str, TensorInfo] = {}
        for info in file.tensors.values():
            name = hugging_face_name(info.name)
            if name in self._tensors:
                raise CheckpointError(f"{file.path} is damaged: two tensors are {name!r}; fetch it again")
            self._tensors[name] = info
        self._config = _config(file, self._tensors)
        check_config(self._config, file.path)

    @classmethod
    def open(cls, path: Path) -> GGUFCheckpoint:
        return cls(GGUFFile.open(path))

    @property
    def path(self) -> Path:
        return self._file.path

    @property
    def config(self) -> ModelConfig:
        return self._config

    @property
    def generation_config(self) -> Mapping[str, Any]:
        return {}

    def replace_config(self, config: ModelConfig) -> None:
        """Other sizes than the file says, that fit its tensors."""
        self._config = config

    @property
    def metadata(self) -> Mapping[str, Any]:
        """GGUF's own metadata."""
        return self._file.metadata

    def names(self) -> list[str]:
        return [name for name in self._tensors if name != _ROPE_FACTORS]

    def shape(self, name: str) -> tuple[int, ...]:
        return self._info(name).shape

    def format(self, name: str) -> Format:
        return FORMATS[self._info(name).type.name]

    def tensor(self, name: str) -> Tensor:
        info = self._info(name)
        data = self._file.bytes_of(info)
        heads = self._heads_of_neighbour_pairs(name)
        if heads:
            rows = info.shape[0]
            if rows % (2 * heads):
                raise CheckpointError(
                    f"{self.path}: {info.name} has {rows} rows, which {heads} heads cannot share"
                )
            data = rows_of_neighbour_pairs(data, heads, rows)
        return as_tensor(name, info, data)

    def close(self) -> None:
        self._file.close()

    def _info(self, name: str) -> TensorInfo:
        info = self._tensors.get(name)
        if info is None:
            raise CheckpointError(f"{self.path} has no tensor {name!r}: it is incomplete; fetch it again")
        if info.type.name not in FORMATS:
            raise CheckpointError(
                f"{self.path}: tensor {info.name!r} is stored as {info.type.name}; Pagoda reads "
                f"{', '.join(FORMATS)}: choose a file in Q8_0, Q4_0 or Q4_1"
            )
        return info

    def _heads_of_neighbour_pairs(self, name: str) -> int:
        """How many heads share the rows of a tensor that is stored for neighbour pairs; 0 for all others."""
        if self._config.architecture != "llama":
            return 0
        if ".self_attn.q_proj." in name:
            return self._config.num_attention_heads
        return self._config.num_key_value_heads if ".self_attn.k_proj." in name else 0


class _Metadata:
    """Typed look-up: numbers of the architecture by the key that follows its name."""

    def __init__(self, file: GGUFFile) -> None:
        self.path = file.path
        self.values = file.metadata
        self.architecture = str(self.values.get("general.architecture", ""))

    def get(self, key: str, kind: type[_Number], default: _Number | None = None) -> _Number:
        """The number under `key`; without a default it must be there."""
        full = f"{self.architecture}.{key}"
        value = self.values.get(full, default)
        if value is None:
            raise CheckpointError(f"{self.path} lacks {full!r} in its metadata: convert the model again")
        allowed = (int, float) if kind is float else (int,)
        if isinstance(value, bool) or not isinstance(value, allowed):
            raise CheckpointError(f"{self.path}: {full!r} is {str(value)[:60]!r}, not one {kind.__name__}")
        return kind(value)

    def token(self, key: str, vocab_size: int) -> int | None:
        value = self.values.get(f"tokenizer.ggml.{key}")
        return value if type(value) is int and 0 <= value < vocab_size else None


def _config(file: GGUFFile, tensors: Mapping[str, TensorInfo]) -> ModelConfig:
    meta = _Metadata(file)
    if meta.architecture not in ARCHITECTURES:
        raise CheckpointError(
            f"{file.path} holds a model of architecture {meta.architecture or 'unknown'!r}; "
            f"Pagoda runs {', '.join(ARCHITECTURES)}"
        )
    _refuse_unsupported(meta)
    if "model.embed_tokens.weight" not in tensors:
        raise CheckpointError(f"{file.path} has no tensor 'token_embd.weight': it holds no whole model")
    vocab_size = tensors["model.embed_tokens.weight"].shape[0]
    hidden = meta.get("embedding_length", int)
    heads = meta.get("attention.head_count", int)
    if heads < 1:
        raise CheckpointError(f"{file.path}: the number of attention heads is {heads}")
    head_dim = meta.get("attention.key_length", int, hidden // heads)
    if meta.get("attention.value_length", int, head_dim) != head_dim:
        raise CheckpointError(f"{file.path}: heads of keys and values that differ in size are not supported")
    if meta.get("rope.dimension_count", int, head_dim) != head_dim:
        raise CheckpointError(f"{file.path}: rotary embedding of a part of each head is not supported")
    return ModelConfig(
        architecture=meta.architecture,
        vocab_size=vocab_size,
        hidden_size=hidden,
        intermediate_size=meta.get("feed_forward_length", int),
        num_hidden_layers=meta.get("block_count", int),
        num_attention_heads=heads,
        num_key_value_heads=meta.get("attention.head_count_kv", int, heads),
        head_dim=head_dim,
        rms_norm_eps=meta.get("attention.layer_norm_rms_epsilon", float),
        rope_theta=meta.get("rope.freq_base", float, 10000.0),
        max_position_embeddings=meta.get("context_length", int),
        tie_word_embeddings="lm_head.weight" not in tensors,
        rope_scaling=_rope_scaling(file, meta, tensors),
        attention_bias="model.layers.0.self_attn.q_proj.bias" in tensors,
        attention_out_bias="model.layers.0.self_attn.o_proj.bias" in tensors,
        mlp_bias="model.layers.0.mlp.down_proj.bias" in tensors,
        bos_token_id=meta.token("bos_token_id", vocab_size),
        eos_token_ids=end_token_ids(file.metadata, vocab_size),
        pad_token_id=meta.token("padding_token_id", vocab_size),
        name=str(file.metadata.get("general.name", "")),
    )


def _refuse_unsupported(meta: _Metadata) -> None:
    if meta.get("expert_count", int, 0):
        raise CheckpointError(f"{meta.path} is a mixture of experts, which Pagoda does not run yet")
    if meta.get("attention.sliding_window", int, 0):
        raise CheckpointError(f"{meta.path} uses sliding-window attention, which Pagoda does not run yet")
    if meta.values.get("split.count", 1) not in (0, 1):
        raise CheckpointError(f"{meta.path} is one part of several: join them with llama-gguf-split --merge")


def _rope_scaling(file: GGUFFile, meta: _Metadata, tensors: Mapping[str, TensorInfo]) -> RopeScaling | None:
    kind = file.metadata.get(f"{meta.architecture}.rope.scaling.type", "none")
    factor = meta.get("rope.scaling.factor", float, meta.get("rope.scale_linear", float, 1.0))
    if _ROPE_FACTORS in tensors:
        info = tensors[_ROPE_FACTORS]
        if info.type.name != "F32" or len(info.shape) != 1:
            raise CheckpointError(f"{file.path}: {_ROPE_FACTORS} is not one row of F32 factors")
        if kind not in ("none", "linear") or factor != 1.0:
            raise CheckpointError(f"{file.path}: {_ROPE_FACTORS} with further rope scaling is not supported")
        values = file.bytes_of(info).view("<f4")
        if not (np.isfinite(values) & (values > 0)).all():
            raise CheckpointError(f"{file.path} is damaged: {_ROPE_FACTORS} is not positive; fetch it again")
        return RopeScaling("factors", 1.0, frequency_factors=tuple(map(float, values)))
    if kind == "yarn":
        # Files store a multiplier of the factor that follows from YaRN's formula.
        multiplier = meta.get("rope.scaling.yarn_attn_factor", float, 1.0)
        multiplier = meta.get("rope.scaling.attn_factor", float, multiplier)
        if factor < 1.0:
            raise CheckpointError(f"{file.path}: a YaRN factor of {factor} is below 1")
        return RopeScaling(
            kind="yarn",
            factor=factor,
            original_max_position_embeddings=meta.get("rope.scaling.original_context_length", int),
            beta_fast=meta.get("rope.scaling.yarn_beta_fast", float, 32.0),
            beta_slow=meta.get("rope.scaling.yarn_beta_slow", float, 1.0),
            attention_factor=multiplier * (0.1 * math.log(factor) + 1.0),
        )
    if kind == "none" or (kind == "linear" and factor == 1.0):
        # Without a type, a factor still means linear scaling (the key rope.scale_linear of old files).
        return RopeScaling("linear", factor) if factor != 1.0 else None
    if kind == "linear":
        return RopeScaling("linear", factor)
    raise CheckpointError(f"{file.path}: rope scaling {kind!r} is not supported (none, linear and yarn are)")


def end_token_ids(metadata: Mapping[str, Any], vocab_size: int) -> tuple[int, ...]:
    """The tokens that end an answer: the named ones first, then control tokens known by their text."""
    named = [metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot", "eom")]
    ids = [token for token in named if type(token) is int]
    tokens = metadata.get("tokenizer.ggml.tokens")
    types = metadata.get("tokenizer.ggml.token_type")
    if isinstance(tokens, list) and types is not None and len(types) == len(tokens):
        control = np.flatnonzero(np.asarray(types) == _CONTROL)
        ids += [int(token) for token in control if tokens[token] in END_TOKENS]
    return tuple(dict.fromkeys(token for token in ids if 0 <= token < vocab_size))
