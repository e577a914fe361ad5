"""What an engine is started with and what it says of itself once it runs."""

from __future__ import annotations

from typing import Any

import msgspec


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one engine; None means chosen to fit the model and the machine, and said aloud."""

    model_path: str  #: a GGUF file or a folder of safetensors, on disk
    max_model_len: int | None = None  #: tokens of prompt and answer together
    quantization: str | None = None  #: "int8" or "int4": quantise float weights while loading
    kv_cache_memory_bytes: int | None = None
    max_num_seqs: int = 256
    max_num_batched_tokens: int | None = None
    enable_prefix_caching: bool = True
    num_threads: int | None = None
    isa: str | None = None  #: "portable", "avx2" or "avx512": at most this instruction set
    #: "cpu", "reference" (NumPy float32; slow, the oracle) or "scripted" (says what a file tells; for tests)
    executor: str = "cpu"
    generation_config: dict[str, float] = {}  #: defaults for sampling where the checkpoint has none
    tokenizer: str | None = None  #: a folder or GGUF file whose tokenizer replaces the model's own
    hf_overrides: dict[str, Any] = {}  #: fields that replace those of the checkpoint's config.json
    load_format: str = "auto"  #: "dummy" makes random weights for the sizes of config.json
    memory_share: float | None = None  #: weights and cache together take this share of the free memory, 0..1
    num_gpu_blocks_override: int | None = None  #: number of cache blocks, whatever fits
    allow_long_max_model_len: bool = False  #: a max_model_len beyond what the model was trained for
    chat_template: str | None = None  #: source of a chat template that replaces the model's own
    step_timeout: float = 600.0  #: seconds without news until an engine that has work is replaced; 0: never
    lora: str | None = None  #: a folder with an adapter (PEFT) that is merged into the weights while loading
    memory_limit_bytes: int | None = None  #: of weights and cache together, beside the machine's own limit
    runner: str = "auto"  #: "generate", "pooling" (embeddings and scores) or "auto": what the model is for
    #: hidden states that make an embedding: "last", "mean" or "cls" (the first); None: the model's own choice
    pooling: str | None = None
    normalize: bool | None = None  #: scale embeddings to length 1; None: the model's own choice
    seed: int | None = 0  #: offline, requests without a seed draw theirs from this one; None draws afresh


class PoolingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How a pooling engine makes vectors of hidden states."""

    method: str  #: "last", "mean" or "cls"
    normalize: bool  #: whether embeddings have length 1
    size: int  #: values of an embedding; of a classifier, its number of labels
    labels: tuple[str, ...] = ()  #: a classifier's labels; empty for a model of embeddings
    activation: str = ""  #: from a classifier's outputs to its scores: "sigmoid", "softmax" or "identity"
    pairs: bool = False  #: the tokenizer joins two texts with segments of their own (a cross-encoder's input)


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a ready engine reports."""

    architecture: str
    vocab_size: int
    max_model_len: int
    num_blocks: int
    block_size: int
    weight_bytes: int
    cache_bytes: int
    max_num_seqs: int
    max_num_batched_tokens: int
    num_threads: int
    isa: str
    weight_formats: dict[str, int]  #: format name -> bytes
    load_seconds: float
    pid: int
    eos_token_ids: tuple[int, ...] = ()  #: tokens that end an answer, by the checkpoint
    generation_config: dict[str, Any] = {}  #: the checkpoint's defaults for sampling
    runner: str = "generate"  #: or "pooling"
    pooling: PoolingInfo | None = None  #: of a pooling engine
    notes: tuple[str, ...] = ()  #: sentences for the user where a size is less than the model could do


class EngineStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the engine's start and gauges of this moment (names follow vLLM's metrics)."""

    num_requests_running: int = 0
    num_requests_waiting: int = 0
    num_requests_deferred: int = (
        0  #: of those waiting, those whose grammar is being compiled, or model loaded
    )
    kv_cache_usage: float = 0.0  #: share of blocks held by running requests, 0..1
    prompt_tokens: int = 0
    generation_tokens: int = 0
    prefix_cache_queries: int = 0  #: tokens looked up
    prefix_cache_hits: int = 0  #: tokens found
    num_preemptions: int = 0
    steps: int = 0
    restarts: int = 0  #: times the engine process was replaced
