"""Keyword arguments of vLLM's `LLM`: which mean something here, and which are accepted and do nothing on a
CPU.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pagoda.engine.sizes import ConfigurationError

#: keyword -> the setting of the engine it is
_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "kv_cache_memory_bytes": "kv_cache_memory_bytes",
        "gpu_memory_utilization": "memory_share",
        "num_gpu_blocks_override": "num_gpu_blocks_override",
        "max_num_seqs": "max_num_seqs",
        "max_num_batched_tokens": "max_num_batched_tokens",
        "hf_overrides": "hf_overrides",
        "load_format": "load_format",
        "runner": "runner",
        "pooling": "pooling",
        "normalize": "normalize",
        "num_threads": "num_threads",
        "isa": "isa",
        "executor": "executor",
    }
)

#: name -> the values that ask for nothing special; other values are ignored with a warning
_WITHOUT_EFFECT: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "tokenizer_mode": ("auto", "hf", "slow", "fast"),
        "trust_remote_code": (False, True),  # no remote code is ever run
        "allowed_local_media_path": ("",),
        "allowed_media_domains": (None,),
        "tensor_parallel_size": (1,),
        "pipeline_parallel_size": (1,),
        "data_parallel_size": (1,),
        "enable_expert_parallel": (False,),
        "dtype": ("auto",),
        "kv_cache_dtype": ("auto",),
        "calculate_kv_scales": (False,),
        "tokenizer_revision": (None,),
        "code_revision": (None,),
        "config_format": ("auto", "hf"),
        "model_impl": ("auto", "vllm"),
        "use_tqdm_on_load": (True, False),
        "swap_space": (0, 4),
        "cpu_offload_gb": (0,),
        "kv_offloading_size": (None,),
        "block_size": (None, 16, 32),
        "enforce_eager": (False, True),
        "disable_custom_all_reduce": (False, True),
        "max_seq_len_to_capture": (8192,),
        "cudagraph_capture_sizes": (None,),
        "disable_log_stats": (False, True),
        "disable_async_output_proc": (False, True),
        "async_scheduling": (None, False, True),
        "enable_chunked_prefill": (None, True),
        "scheduling_policy": ("fcfs", "priority"),  # priorities always count
        "num_scheduler_steps": (1,),
        "use_v2_block_manager": (False, True),
        "mm_processor_kwargs": (None,),
        "limit_mm_per_prompt": (None, {}),
        "compilation_config": (None, 0),
        "attention_config": (None,),
        "profiler_config": (None,),
        "structured_outputs_config": (None,),
        "guided_decoding_backend": ("auto", "outlines", "xgrammar", "guidance", "lm-format-enforcer"),
        "logits_processor_pattern": (None,),
        "distributed_executor_backend": (None, "mp", "uni"),
        "worker_use_ray": (False,),
        "device": ("auto", "cpu"),
        "enable_lora": (False, True),
        "max_lora_rank": (16, 32, 64, 128, 256),
        "max_cpu_loras": (None,),
        "lora_dtype": ("auto",),
        "enable_sleep_mode": (False, True),
        "speculative_config": (None,),
        "enable_prompt_embeds": (False,),
    }
)

#: further names of vLLM's engine arguments that change nothing here; None, False and empty ask for nothing
_IGNORED_NAMES = """
    additional_config all2all_backend attention_backend collect_detailed_traces cuda_graph_sizes
    cudagraph_metrics data_parallel_address data_parallel_backend data_parallel_external_lb
    data_parallel_hybrid_lb data_parallel_rank data_parallel_rpc_port data_parallel_size_local
    data_parallel_start_rank decode_context_parallel_size disable_cascade_attn
    disable_hybrid_kv_cache_manager disable_sliding_window ec_transfer_config enable_dbo enable_eplb
    enable_layerwise_nvtx_tracing engine_use_ray eplb_config fully_sharded_loras
    guided_decoding_disable_additional_properties guided_decoding_disable_any_whitespace
    guided_decoding_disable_fallback ignore_patterns image_input_type io_processor_plugin kernel_config
    kv_cache_metrics kv_events_config kv_offloading_backend kv_sharing_fast_prefill kv_transfer_config
    language_model_only logprobs_mode long_prefill_token_threshold lora_extra_vocab_size master_addr
    master_port max_cudagraph_capture_size max_long_partial_prefills max_num_partial_prefills
    max_parallel_loading_workers media_io_kwargs mm_processor_cache_gb model_loader_extra_config
    multi_step_stream_outputs ngram_prompt_lookup_max ngram_prompt_lookup_min nnodes node_rank
    num_lookahead_slots num_speculative_tokens numa_bind observability_config optimization_level
    otlp_traces_endpoint override_attention_dtype performance_mode preemption_mode
    prefix_caching_hash_algo ray_workers_use_nsight reasoning_parser safetensors_load_strategy
    scheduler_cls scheduler_delay_factor served_model_name show_hidden_metrics_for_version
    skip_mm_profiling speculative_draft_tensor_parallel_size speculative_model stream_interval worker_cls
    worker_extension_cls
    """
_IGNORED = frozenset(_IGNORED_NAMES.split())

_TASKS: Mapping[str, str] = MappingProxyType(
    {
        "auto": "auto",
        "generate": "generate",
        **dict.fromkeys(("embed", "embedding", "score", "classify", "reward"), "pooling"),
    }
)
_POOLING = {"LAST": "last", "MEAN": "mean", "CLS": "cls"}
_OTHERS = (
    *(
        "revision",
        "hf_token",
        "download_dir",
        "generation_config",
        "override_generation_config",
        "max_logprobs",
        "max_loras",
    ),
    *("chat_template", "task", "convert", "pooler_config", "override_pooler_config"),
    *("rope_scaling", "rope_theta", "logits_processors", "hf_config_path"),
)


@dataclass(slots=True)
class LLMOptions:
    """What keyword arguments ask for. ignored: those that ask for something that has no effect here."""

    settings: dict[str, Any] = field(default_factory=dict)  #: fields of EngineConfig
    ignored: dict[str, Any] = field(default_factory=dict)
    revision: str | None = None
    hub: dict[str, str] = field(default_factory=dict)  #: variables of the environment, for the hub
    model_defaults: bool = True  #: sampling defaults come from the model's generation_config.json
    default_overrides: dict[str, Any] = field(default_factory=dict)  #: of those defaults
    max_logprobs: int = 20
    max_loras: int = 1


def read_options(given: Mapping[str, Any]) -> LLMOptions:
    """Raises TypeError for a name that neither this engine nor vLLM's knows, ConfigurationError for what
    cannot be done.
    """
    options = LLMOptions()
    for name, value in given.items():
        if name in _SETTINGS:
            if value is not None:
                options.settings[_SETTINGS[name]] = value
        elif name in _WITHOUT_EFFECT:
            if value not in _WITHOUT_EFFECT[name]:
                options.ignored[name] = value
        elif name in _IGNORED:
            if value:
                options.ignored[name] = value
        elif name not in _OTHERS:
            close = difflib.get_close_matches(
                name, (*_SETTINGS, *_WITHOUT_EFFECT, *_IGNORED, *_OTHERS, *_OWN), 1
            )
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"LLM() got an unexpected keyword argument {name!r}{hint}")
    _read_others(options, {name: value for name, value in given.items() if value is not None})
    return options


_OWN = ("tokenizer", "max_model_len", "quantization", "enable_prefix_caching", "skip_tokenizer_init", "seed")


def _read_others(options: LLMOptions, given: Mapping[str, Any]) -> None:
    if given.get("logits_processors"):
        raise ConfigurationError(
            "logits_processors are not run in this engine; use logit_bias, bad_words or structured_outputs."
        )
    if given.get("hf_config_path"):
        raise ConfigurationError("config.json must lie beside the weights; hf_overrides changes its fields.")
    options.revision = given.get("revision")
    for name, variable in (("hf_token", "HF_TOKEN"), ("download_dir", "HF_HUB_CACHE")):
        if isinstance(given.get(name), str | Path):
            options.hub[variable] = str(given[name])
    options.max_logprobs = given.get("max_logprobs", options.max_logprobs)
    options.max_loras = max(1, given.get("max_loras", options.max_loras))
    options.default_overrides = dict(given.get("override_generation_config", {}))
    source = given.get("generation_config", "auto")
    if source not in ("auto", "vllm"):
        raise ConfigurationError(f'generation_config must be "auto" or "vllm", got {source!r}.')
    options.model_defaults = source == "auto"
    overrides = {name: given[name] for name in ("rope_scaling", "rope_theta") if name in given}
    if overrides:
        options.settings["hf_overrides"] = overrides | options.settings.get("hf_overrides", {})
    if "chat_template" in given:
        options.settings["chat_template"] = template_source(given["chat_template"])
    _read_purpose(options, given)


def _read_purpose(options: LLMOptions, given: Mapping[str, Any]) -> None:
    task = given.get("task", "auto")
    if task not in _TASKS:
        raise ConfigurationError(f"task={task!r} is not supported; use {', '.join(_TASKS)}.")
    if _TASKS[task] != "auto":
        options.settings.setdefault("runner", _TASKS[task])
    convert = given.get("convert", "auto")
    if convert not in ("auto", "none", *_TASKS):
        raise ConfigurationError(f'convert={convert!r} is not supported; use "embed" or "classify".')
    if _TASKS.get(convert) == "pooling":
        options.settings["runner"] = "pooling"
    pooler = given.get("pooler_config", given.get("override_pooler_config"))
    if pooler is None:
        return

    def value(name: str) -> Any:
        return pooler.get(name) if isinstance(pooler, Mapping) else getattr(pooler, name, None)

    kind = value("pooling_type") or value("seq_pooling_type")
    if kind is not None:
        if str(kind).upper() not in _POOLING:
            raise ConfigurationError(f"pooling_type is {kind!r}; use {', '.join(_POOLING)}.")
        options.settings["pooling"] = _POOLING[str(kind).upper()]
    normalize = value("normalize") if value("normalize") is not None else value("use_activation")
    if normalize is not None:
        options.settings["normalize"] = bool(normalize)


def template_source(template: str | Path) -> str:
    """A chat template that is given as its source or as a file. Raises ConfigurationError."""
    text = str(template)
    if "{" in text or "\n" in text:
        return text
    try:
        return Path(text).expanduser().read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"The chat template {text[:80]!r} cannot be read: {error}") from error
