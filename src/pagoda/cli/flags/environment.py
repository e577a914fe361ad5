"""Environment variables of vLLM and Hugging Face: what each means here."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from pagoda.cli.errors import UsageError
from pagoda.cli.flags.flag import Effect


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable and what becomes of it."""

    name: str
    effect: Effect
    help: str


VARIABLES = (
    Variable("PAGODA_HOME", Effect.WORKS, "The data folder: models, locks, stored responses."),
    Variable("PAGODA_API_KEY", Effect.WORKS, "API keys, parted by commas; --api-key goes before it."),
    Variable("PAGODA_DEBUG", Effect.WORKS, "An error shows where it arose instead of one line."),
    Variable("VLLM_API_KEY", Effect.WORKS, "API keys where neither --api-key nor PAGODA_API_KEY gives any."),
    Variable("HF_ENDPOINT", Effect.WORKS, "A mirror of Hugging Face."),
    Variable("HF_HOME", Effect.WORKS, "Where files from Hugging Face are kept."),
    Variable(
        "HF_HUB_CACHE", Effect.WORKS, "Where models from Hugging Face are kept; --download-dir sets it."
    ),
    Variable("HF_TOKEN", Effect.WORKS, "Token for models that need one; --hf-token sets it."),
    Variable("HF_HUB_OFFLINE", Effect.WORKS, "Nothing is fetched from Hugging Face."),
    Variable(
        "VLLM_SERVER_DEV_MODE", Effect.WORKS, "1 serves /sleep, /wake_up, /reset_prefix_cache, /server_info."
    ),
    Variable(
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING", Effect.WORKS, "1 serves /v1/load_lora_adapter and its opposite."
    ),
    Variable(
        "VLLM_ALLOW_LONG_MAX_MODEL_LEN", Effect.WORKS, "1 allows a max_model_len beyond the model's own."
    ),
    Variable("VLLM_CPU_KVCACHE_SPACE", Effect.WORKS, "GiB of the cache, where no flag sets it."),
    Variable(
        "VLLM_CPU_OMP_THREADS_BIND",
        Effect.WORKS,
        "Cores such as 0-3,8 that server and engine use; auto and all: those given to them.",
    ),
    Variable(
        "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS",
        Effect.WORKS,
        "Seconds after which an engine that is stuck in a step is replaced; --step-timeout goes before it.",
    ),
    Variable("VLLM_ENGINE_ITERATION_TIMEOUT_S", Effect.WORKS, "The same, of earlier versions."),
    Variable("VLLM_LOGGING_LEVEL", Effect.WORKS, "Level of the log: DEBUG, INFO, WARNING or ERROR."),
    Variable(
        "VLLM_USE_MODELSCOPE",
        Effect.NONE,
        "models come from Hugging Face or a mirror of it (HF_ENDPOINT), or from a folder that is here",
    ),
    Variable("VLLM_CONFIGURE_LOGGING", Effect.WORKS, "0: the log stays as Python's logging has it."),
    Variable("VLLM_LOG_STATS_INTERVAL", Effect.WORKS, "Seconds between lines about throughput in the log."),
    Variable("VLLM_ATTENTION_BACKEND", Effect.NONE, "attention has one implementation here"),
    Variable("VLLM_WORKER_MULTIPROC_METHOD", Effect.NONE, "the engine is one process of its own"),
    Variable("VLLM_HOST_IP", Effect.NONE, "it is for several machines; --host says where the server listens"),
    Variable("VLLM_NO_USAGE_STATS", Effect.NONE, "nothing is ever reported to anybody"),
    Variable("VLLM_DO_NOT_TRACK", Effect.NONE, "nothing is ever reported to anybody"),
    Variable("VLLM_TARGET_DEVICE", Effect.NONE, "the machine's processor does the work"),
    Variable("VLLM_USE_V1", Effect.NONE, "there is one engine"),
    Variable("VLLM_ENABLE_RESPONSES_API_STORE", Effect.NONE, "responses are stored unless a request says no"),
    Variable("CUDA_VISIBLE_DEVICES", Effect.NONE, "no GPU is used"),
)

#: variables without effect of which one line should tell, since they change what people expect
_TELLING = ("VLLM_USE_MODELSCOPE",)


def notices(environ: Mapping[str, str]) -> list[str]:
    """Lines about variables that are set and do nothing here, where that matters."""
    return [
        f"{variable.name} has no effect here: {variable.help}"
        for variable in VARIABLES
        if variable.name in _TELLING and environ.get(variable.name, "").casefold() in ("1", "true")
    ]


def settle(
    environ: MutableMapping[str, str], *, hf_token: str | None = None, download_dir: str | None = None
) -> None:
    """Makes flags about Hugging Face part of the environment, and binds this process to its cores.

    What is started later inherits both. Raises UsageError for cores that this process may not use.
    """
    if hf_token:
        environ["HF_TOKEN"] = hf_token
    if download_dir:
        environ["HF_HUB_CACHE"] = download_dir
    cores = _cores(environ.get("VLLM_CPU_OMP_THREADS_BIND", ""))
    if cores:
        try:
            os.sched_setaffinity(0, cores)
        except OSError as error:
            raise UsageError(
                f"VLLM_CPU_OMP_THREADS_BIND names cores that cannot be used: {error.strerror}"
            ) from error


def _cores(text: str) -> set[int]:
    """{0, 1, 2, 8} for "0-2,8"; parts for several ranks ("0-1|2-3") count together; none for auto and all."""
    if text.strip().casefold() in ("", "auto", "all", "nobind"):
        return set()
    found: set[int] = set()
    for part in text.replace("|", ",").split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError(f"VLLM_CPU_OMP_THREADS_BIND is {text!r}, not cores such as 0-3,8")
        found |= set(range(int(first), int(last if dash else first) + 1))
    return found
