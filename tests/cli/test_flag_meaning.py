"""From values of flags to what a service is started with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pagoda.cli.errors import UsageError, WrongUsageError
from pagoda.cli.flags import environment
from pagoda.cli.flags.command_line import read_command_line
from pagoda.cli.flags.flag import Effect, Flag, Kind
from pagoda.cli.flags.given import read_given
from pagoda.cli.flags.meaning import service_options
from pagoda.cli.flags.table import SERVE
from pagoda.cli.service import LoraModule, ModelChoice, ServiceOptions


def options(*arguments: str, **environ: str) -> ServiceOptions:
    given = read_given(read_command_line(["m", *arguments], SERVE), SERVE, environ)
    return service_options(given, SERVE)


def test_without_flags_only_this_machine_is_served_and_vllms_defaults_hold() -> None:
    found = options()
    assert (found.models, found.host, found.port) == ((ModelChoice("m"),), "127.0.0.1", 8000)
    assert found.server.reasoning_parser is None, "reasoning stays in the text unless it is asked for"
    assert found.server.tool_call_parser == "auto"
    assert found.server.api_keys == ()
    assert not found.server.dev_mode
    assert not found.server.allow_lora_updating
    assert found.engine.memory_share is None


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (["--max-model-len", "32k"], {"max_model_len": 32_000}),
        (["--max-model-len", "auto"], {"max_model_len": None}),
        (["--gpu-memory-utilization", "0.9"], {"memory_share": 0.9}),
        (["--num-gpu-blocks-override", "9"], {"num_gpu_blocks_override": 9}),
        (["--no-enable-prefix-caching"], {"enable_prefix_caching": False}),
        (["-q", "INT8"], {"quantization": "int8"}),
        (["-q", "gguf"], {"quantization": None}),
        (["--quantization", "None"], {"quantization": None}),
        (["--tokenizer", "t", "--tokenizer-mode", "slow"], {"tokenizer": "t"}),
        (["--load-format", "dummy", "--seed", "3"], {"load_format": "dummy", "seed": 3}),
        (["--load-format", "safetensors"], {"load_format": "auto"}),
        (["--runner", "pooling"], {"runner": "pooling"}),
        (["--convert", "embed"], {"runner": "pooling"}),
        (["--task", "embed"], {"runner": "pooling"}),
        (["--task", "classify"], {"runner": "pooling"}),
        (["--step-timeout", "2m"], {"step_timeout": 120.0}),
        (["--task", "generate"], {"runner": "generate"}),
        (["--task", "auto"], {"runner": "auto"}),
        (
            ["--pooler-config", '{"pooling_type": "MEAN", "normalize": false}'],
            {"pooling": "mean", "normalize": False},
        ),
        (["--rope-theta", "1e6"], {"hf_overrides": {"rope_theta": 1e6}}),
        (
            ["--rope-scaling", '{"factor": 2}', "--hf-overrides", '{"max_position_embeddings": 9}'],
            {"hf_overrides": {"rope_scaling": {"factor": 2}, "max_position_embeddings": 9}},
        ),
        (["--threads", "3", "--isa", "avx2"], {"num_threads": 3, "isa": "avx2"}),
    ],
)
def test_settings_of_the_engine(arguments: list[str], fields: dict[str, Any]) -> None:
    engine = options(*arguments).engine
    assert {name: getattr(engine, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (["--served-model-name", "a", "b"], {"served_model_names": ("a", "b")}),
        (["--api-key", "x", "y"], {"api_keys": ("x", "y")}),
        (["--enable-reasoning"], {"reasoning_parser": "auto"}),
        (["--enable-reasoning", "--reasoning-parser", "qwen3"], {"reasoning_parser": "qwen3"}),
        (["--reasoning-parser", "none"], {"reasoning_parser": None}),
        (["--tool-call-parser", "hermes", "--enable-auto-tool-choice"], {"tool_call_parser": "hermes"}),
        (["--tool-call-parser", "none"], {"tool_call_parser": None}),
        (["--disable-log-requests"], {"log_requests": False}),
        (["--enable-log-requests", "--max-log-len", "9"], {"log_requests": True, "max_log_len": 9}),
        (["--disable-log-stats"], {"stats_log_seconds": 0.0}),
        (["--disable-fastapi-docs"], {"docs": False}),
        (["--no-disable-uvicorn-access-log"], {"access_log": True}),
        (["--disable-access-log-for-endpoints", "/health, /ping"], {"quiet_paths": ("/health", "/ping")}),
        (["--generation-config", "vllm"], {"default_sampling": "vllm"}),
        (
            ["--override-generation-config", '{"temperature": 0.5}'],
            {"default_sampling": "auto", "override_generation_config": {"temperature": 0.5}},
        ),
        (["--override-generation-config.top_k", "5"], {"override_generation_config": {"top_k": 5}}),
        (
            ["--default-chat-template-kwargs", '{"enable_thinking": false}'],
            {"default_chat_template_kwargs": {"enable_thinking": False}},
        ),
        (["--allowed-origins", '["http://a"]'], {"allowed_origins": ("http://a",)}),
        (["--max-logprobs", "-1"], {"max_logprobs": -1}),
        (["--logprobs-mode", "raw_logprobs"], {}),
        (["--shutdown-timeout", "5"], {"shutdown_timeout": 5.0}),
        (["--chat-template", "{{ messages }}"], {"chat_template": "{{ messages }}"}),
        (["--root-path", "/llm"], {"root_path": "/llm"}),
    ],
)
def test_settings_of_the_server(arguments: list[str], fields: dict[str, Any]) -> None:
    server = options(*arguments).server
    assert {name: getattr(server, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--quantization", "awq"], ["awq", "int8 or int4", "GGUF"]),
        (["--tokenizer-mode", "mistral"], ["mistral", "tokenizer.json"]),
        (["--logprobs-mode", "processed_logprobs"], ["processed_logprobs", "raw_logprobs"]),
        (["--pooler-config", '{"pooling_type": "STEP"}'], ["STEP"]),
        (["--pooler-config", "3"], ["JSON object"]),
        (["--hf-overrides", "3"], ["JSON object"]),
        (["--override-generation-config", "[]"], ["--override-generation-config must be a JSON object"]),
        (["--reasoning-parser", "qwen9"], ["qwen9", "qwen3", "auto"]),
        (["--tool-call-parser", "magic"], ["magic", "hermes", "auto"]),
        (["--api-key", ""], ["--api-key is empty"]),
        (["--lora-modules", "a"], ["NAME=PATH"]),
        (["--lora-modules", '{"name": "a"}'], ["path"]),
        (["--ssl-keyfile", __file__], ["--ssl-certfile"]),
        (["--ssl-certfile", "/nothing"], ["no file /nothing"]),
        (["--chat-template", "nothing.jinja"], ["no file nothing.jinja"]),
        (["--generation-config", "/nothing"], ["/nothing", "generation_config.json"]),
        (["--middleware", "nothing.Here"], ["nothing.Here"]),
        (["--model", "m=x"], ["two models are called 'm'"]),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: list[str], words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        options(*arguments)
    assert all(word in str(caught.value) for word in words), caught.value
    assert "\n" not in str(caught.value)


#: values that change something, of flags whose kind does not tell one
TELLING = {
    "chat-template": "{{ x }}",
    "convert": "embed",
    "enable-prefix-caching": "false",
    "executor": "reference",
    "generation-config": "vllm",
    "gpu-memory-utilization": "0.5",
    "kv-cache-memory-bytes": "2G",
    "load-format": "dummy",
    "lora-modules": "a=b",
    "middleware": "pagoda.api.auth.ApiKeyMiddleware",
    "pooler-config": '{"pooling_type": "MEAN"}',
    "quantization": "int4",
    "reasoning-parser": "qwen3",
    "rope-scaling": '{"factor": 2}',
    "runner": "pooling",
    "ssl-ca-certs": __file__,
    "ssl-certfile": __file__,
    "ssl-cert-reqs": "2",
    "task": "embed",
    "tool-call-parser": "hermes",
    "web": "false",
    "model": "other=m2",
    "disable-log-requests": "false",
    "disable-uvicorn-access-log": "false",
}
#: flags that work elsewhere, each with its own test
ELSEWHERE = ("config", "hf-token", "download-dir", "ssl-keyfile", "tokenizer-mode", "logprobs-mode")


@pytest.mark.parametrize(
    "flag",
    [flag for flag in SERVE.flags() if flag.effect in (Effect.WORKS, Effect.OLD)],
    ids=lambda flag: flag.name,
)
def test_every_flag_that_works_changes_something(flag: Flag) -> None:
    if flag.name in ELSEWHERE:
        return
    usual = {Kind.SWITCH: "true", Kind.JSON: '{"a": 1}', Kind.TEXT: "avx2" if flag.name == "isa" else "word"}
    value = TELLING.get(flag.name, usual.get(flag.kind, "7"))
    assert options(f"--{flag.name}={value}") != options()


def test_several_models_and_adapters(tmp_path: Path) -> None:
    given = read_given(read_command_line(["--model", "a=p", "--model", "org/b", "q"], SERVE), SERVE, {})
    found = service_options(given, SERVE)
    assert found.models == (ModelChoice("p", "a"), ModelChoice("org/b"), ModelChoice("q"))
    assert options("--model", "m").models == (ModelChoice("m"),), "named twice, the same"
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert options("--model", str(odd)).models[1] == ModelChoice(str(odd)), "a path that is there is a path"
    entry = json.dumps({"name": "y", "path": "/y", "base_model_name": "m"})
    assert options("--lora-modules", "x=/x", entry).lora_modules == (
        LoraModule("x", "/x"),
        LoraModule("y", "/y", "m"),
    )
    with pytest.raises(WrongUsageError, match="name a MODEL"):
        service_options(read_given(read_command_line([], SERVE), SERVE, {}), SERVE)


def test_a_chat_template_is_a_file_or_written_out(tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    file.write_text("{{ 1 }}")
    assert options("--chat-template", str(file)).server.chat_template == "{{ 1 }}"
    long = "{% for m in messages %}" + "x" * 5000 + "{% endfor %}"
    assert options("--chat-template", long).server.chat_template == long


def test_sampling_defaults_from_another_folder(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text('{"temperature": 0.3, "top_k": 7}')
    server = options(
        "--generation-config", str(tmp_path), "--override-generation-config", '{"top_k": 9}'
    ).server
    assert server.default_sampling == "vllm", "nothing of the model's own"
    assert server.override_generation_config == {"temperature": 0.3, "top_k": 9}


def test_the_environment() -> None:
    assert options(VLLM_API_KEY="a,b").server.api_keys == ("a", "b")
    assert options(VLLM_API_KEY="a", PAGODA_API_KEY="p").server.api_keys == ("p",)
    assert options("--api-key", "k", VLLM_API_KEY="a").server.api_keys == ("k",)
    assert options(VLLM_SERVER_DEV_MODE="1").server.dev_mode
    assert options(VLLM_ALLOW_RUNTIME_LORA_UPDATING="True").server.allow_lora_updating
    assert options(VLLM_ALLOW_LONG_MAX_MODEL_LEN="1").engine.allow_long_max_model_len
    assert options(VLLM_CPU_KVCACHE_SPACE="2").engine.kv_cache_memory_bytes == 2**31
    assert options(
        "--kv-cache-memory-bytes", "1G", VLLM_CPU_KVCACHE_SPACE="2"
    ).engine.kv_cache_memory_bytes == (2**30)
    assert options(VLLM_LOG_STATS_INTERVAL="2.5").server.stats_log_seconds == 2.5
    assert options(VLLM_ENGINE_ITERATION_TIMEOUT_S="90").engine.step_timeout == 90
    both = {"VLLM_ENGINE_ITERATION_TIMEOUT_S": "90", "VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS": "80"}
    assert options(**both).engine.step_timeout == 80
    assert options("--step-timeout", "9", VLLM_ENGINE_ITERATION_TIMEOUT_S="90").engine.step_timeout == 9
    for name, value in (("VLLM_CPU_KVCACHE_SPACE", "much"), ("VLLM_LOG_STATS_INTERVAL", "often")):
        with pytest.raises(UsageError, match=name):
            options(**{name: value})
    assert environment.notices({"VLLM_USE_MODELSCOPE": "true"})[0].startswith(
        "VLLM_USE_MODELSCOPE has no effect"
    )
    assert environment.notices({"CUDA_VISIBLE_DEVICES": "0,1,2,3"}) == []


def test_flags_about_hugging_face_become_part_of_the_environment() -> None:
    environ = {"HF_TOKEN": "old"}
    environment.settle(environ, hf_token="", download_dir=None)
    assert environ == {"HF_TOKEN": "old"}
    environment.settle(environ, hf_token="new", download_dir="/d")
    assert environ == {"HF_TOKEN": "new", "HF_HUB_CACHE": "/d"}


def test_cores_for_server_and_engine() -> None:
    before = os.sched_getaffinity(0)
    first = min(before)
    try:
        environment.settle({"VLLM_CPU_OMP_THREADS_BIND": f"{first}-{first}|{first}"})
        assert os.sched_getaffinity(0) == {first}
    finally:
        os.sched_setaffinity(0, before)
    environment.settle({"VLLM_CPU_OMP_THREADS_BIND": "auto"})
    assert os.sched_getaffinity(0) == before
    for text in ("a-b", "1-", "-3", "100000"):
        with pytest.raises(UsageError, match="VLLM_CPU_OMP_THREADS_BIND"):
            environment.settle({"VLLM_CPU_OMP_THREADS_BIND": text})
    assert os.sched_getaffinity(0) == before


def test_variables_have_one_entry_each() -> None:
    names = [variable.name for variable in environment.VARIABLES]
    assert len(names) == len(set(names))
    for variable in environment.VARIABLES:
        assert variable.help.endswith(".") == (variable.effect is Effect.WORKS)
