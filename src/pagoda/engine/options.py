"""Keyword arguments of vLLM's `LLM`: which mean something here, and which are accepted and do nothing on a
CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_SETTINGS = frozenset(
    {"kv_cache_memory_bytes", "max_num_seqs", "max_num_batched_tokens", "num_threads", "isa", "executor"}
)

#: name -> the values that ask for nothing special; other values are ignored with a warning
_WITHOUT_EFFECT: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "tokenizer_mode": ("auto",),
        "trust_remote_code": (False, True),  # no remote code is ever run
        "allowed_local_media_path": ("",),
        "tensor_parallel_size": (1,),
        "pipeline_parallel_size": (1,),
        "data_parallel_size": (1,),
        "dtype": ("auto",),
        "kv_cache_dtype": ("auto",),
        "revision": (None,),
        "tokenizer_revision": (None,),
        "gpu_memory_utilization": (0.9,),
        "swap_space": (0, 4),
        "cpu_offload_gb": (0,),
        "block_size": (None, 32),
        "enforce_eager": (False, True),
        "disable_custom_all_reduce": (False, True),
        "max_seq_len_to_capture": (8192,),
        "disable_log_stats": (False, True),
        "disable_async_output_proc": (False, True),
        "enable_chunked_prefill": (None, True),
        "load_format": ("auto",),
        "hf_token": (None,),
        "hf_overrides": (None,),
        "mm_processor_kwargs": (None,),
        "compilation_config": (None, 0),
        "distributed_executor_backend": (None, "mp", "uni"),
        "generation_config": ("auto",),
        "runner": ("auto", "generate"),
        "task": ("auto", "generate"),
        "device": ("auto", "cpu"),
        "enable_lora": (False,),
    }
)


def read_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits keyword arguments into settings of the engine and those that are ignored although they ask for
    something.

    Raises TypeError for a name that neither this engine nor vLLM's knows.
    """
    unknown = [name for name in options if name not in _SETTINGS and name not in _WITHOUT_EFFECT]
    if unknown:
        raise TypeError(f"LLM() got an unexpected keyword argument {unknown[0]!r}")
    settings = {name: value for name, value in options.items() if name in _SETTINGS}
    ignored = {
        name: value
        for name, value in options.items()
        if name in _WITHOUT_EFFECT and value not in _WITHOUT_EFFECT[name]
    }
    return settings, ignored
