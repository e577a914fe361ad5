"""What an architecture needs to know of a checkpoint: sizes and constants, one frozen record."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RopeScaling:
    """How rotary frequencies are stretched for long contexts; `kind` is Hugging Face's `rope_type`.

    kind "linear": frequencies divided by `factor`. kind "llama3": the piecewise rule of Llama 3.1.
    kind "yarn": YaRN (arXiv:2309.00071) with `attention_factor` (0 means derived from `factor`).
    kind "factors": frequency i is divided by `frequency_factors[i]` (GGUF's tensor rope_freqs.weight).
    """

    kind: str
    factor: float
    original_max_position_embeddings: int = 0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float = 0.0
    frequency_factors: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model's sizes, in the terms of Hugging Face's config.json, whatever file they came from.

    What only decoders have (rms_norm_eps, rope_*) means nothing for architecture "bert", and the other way
    round (layer_norm_eps, type_vocab_size, hidden_act, position_offset, num_labels).
    """

    architecture: str  #: "llama", "qwen2", "qwen3" or "bert": the name of a program builder
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    max_position_embeddings: int
    tie_word_embeddings: bool
    rope_scaling: RopeScaling | None = None
    attention_bias: bool = False  #: q, k and v have biases (Qwen2)
    attention_out_bias: bool = False  #: the output projection has one too (Llama with attention_bias)
    mlp_bias: bool = False
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()
    pad_token_id: int | None = None
    layer_norm_eps: float = 1e-12
    type_vocab_size: int = 0  #: texts of a pair that segments tell apart
    hidden_act: str = "silu"  #: the activation, by its name in program.ActivationKind for encoders
    position_offset: int = 0  #: rows of the stored table of positions before that of the first one (RoBERTa)
    num_labels: int = 0  #: outputs of a classifier on the first token; 0 where there is none
    name: str = ""  #: a name for people, where the file has one
