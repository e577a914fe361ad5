"""From the values of flags to what a service is started with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pagoda.api.settings import ServerSettings
from pagoda.cli.errors import UsageError, WrongUsageError
from pagoda.cli.flags.flag import Kind, Table
from pagoda.cli.flags.given import Given
from pagoda.cli.service import LoraModule, ModelChoice, ServiceOptions
from pagoda.cli.settings import api_keys
from pagoda.engine.config import EngineConfig

_QUANTIZATIONS = ("int8", "int4")
_TOKENIZER_MODES = ("auto", "hf", "slow", "fast")
_STEP_TIMEOUTS = ("VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS", "VLLM_ENGINE_ITERATION_TIMEOUT_S")
_POOLING = {"LAST": "last", "MEAN": "mean", "CLS": "cls"}
_POOLING_TASKS = ("embed", "embedding", "score", "classify", "reward")


def service_options(given: Given, table: Table) -> ServiceOptions:
    """Raises WrongUsageError or UsageError with one line for what cannot be done."""
    fields: dict[str, dict[str, Any]] = {"engine": {}, "server": {}, "service": {}}
    for flag in table.flags():
        if flag.target and flag.name in given.values:
            room, _, field = flag.target.partition(".")
            value = given.values[flag.name]
            if flag.kind is Kind.JSON and not isinstance(value, dict):
                raise WrongUsageError(f"--{flag.name} must be a JSON object")
            if flag.inverted:
                value = not value
            if value is not None:
                fields[room][field] = tuple(value) if isinstance(value, list) else value
    fields["engine"].update(_engine_fields(given))
    fields["server"].update(_server_fields(given))
    fields["service"].update(_service_fields(given))
    return ServiceOptions(
        models=_models(given),
        engine=EngineConfig(model_path="", **fields["engine"]),
        server=ServerSettings(**fields["server"]),
        **fields["service"],
    )


def _engine_fields(given: Given) -> dict[str, Any]:
    found: dict[str, Any] = {
        "quantization": _quantization(given.text("quantization")),
        "tokenizer": given.text("tokenizer"),
        "hf_overrides": _overrides(given),
        "runner": _runner(given),
        "load_format": "dummy" if given.values.get("load-format") == "dummy" else "auto",
        "allow_long_max_model_len": _is_on(given.environ.get("VLLM_ALLOW_LONG_MAX_MODEL_LEN")),
    }
    mode = given.text("tokenizer-mode")
    if mode not in (None, *_TOKENIZER_MODES):
        raise WrongUsageError(
            f"--tokenizer-mode {mode} is not supported: only tokenizer.json and GGUF are read"
        )
    pooler = given.values.get("pooler-config")
    if pooler is not None:
        found |= _pooling(pooler)
    if "step-timeout" not in given.values:
        name = next((name for name in _STEP_TIMEOUTS if given.environ.get(name)), None)
        if name is not None:
            found["step_timeout"] = _number(name, given.environ[name], "seconds")
    space = given.environ.get("VLLM_CPU_KVCACHE_SPACE")
    if space and not {"kv-cache-memory-bytes", "gpu-memory-utilization"} & given.values.keys():
        gibibytes = _number("VLLM_CPU_KVCACHE_SPACE", space, "GiB")
        found["kv_cache_memory_bytes"] = int(gibibytes * 2**30) or None
    return found


def _server_fields(given: Given) -> dict[str, Any]:
    found: dict[str, Any] = {
        "api_keys": api_keys(given.values.get("api-key"), given.environ),
        "chat_template": _chat_template(given.text("chat-template")),
    }
    if "tool-call-parser" in given.values:
        found["tool_call_parser"] = _parser("tool", given.text("tool-call-parser"))
    if "reasoning-parser" in given.values:
        found["reasoning_parser"] = _parser("reasoning", given.text("reasoning-parser"))
    if given.values.get("enable-reasoning") and "reasoning-parser" not in given.values:
        found["reasoning_parser"] = "auto"
    interval = given.environ.get("VLLM_LOG_STATS_INTERVAL")
    if interval:
        found["stats_log_seconds"] = _number("VLLM_LOG_STATS_INTERVAL", interval, "seconds")
    if given.values.get("disable-log-stats"):
        found["stats_log_seconds"] = 0.0
    for name in ("ssl-keyfile", "ssl-certfile", "ssl-ca-certs"):
        file = given.text(name)
        if file is not None:
            found[name.replace("-", "_")] = _file(f"--{name}", file)
    if found.get("ssl_keyfile") and "ssl_certfile" not in found:
        raise WrongUsageError("--ssl-keyfile needs --ssl-certfile beside it")
    quiet = given.text("disable-access-log-for-endpoints")
    if quiet:
        found["quiet_paths"] = tuple(path.strip() for path in quiet.split(",") if path.strip())
    mode = given.text("logprobs-mode")
    if mode not in (None, "raw_logprobs"):
        raise WrongUsageError(
            f"--logprobs-mode {mode} is not supported: logprobs are the model's own (raw_logprobs)"
        )
    if given.values.get("middleware"):
        from pagoda.api.user_middleware import load_middleware

        for name in given.values["middleware"]:
            load_middleware(name)
    found |= _sampling_defaults(given)
    found["dev_mode"] = _is_on(given.environ.get("VLLM_SERVER_DEV_MODE"))
    found["allow_lora_updating"] = _is_on(given.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING"))
    return found


def _service_fields(given: Given) -> dict[str, Any]:
    found: dict[str, Any] = {"uds": given.text("uds"), "revision": given.text("revision")}
    if given.text("host"):
        found["host"] = given.text("host")
    if given.values.get("port") is not None:
        found["port"] = given.values["port"]
    found["lora_modules"] = tuple(map(_lora_module, given.values.get("lora-modules") or ()))
    return found


def _models(given: Given) -> tuple[ModelChoice, ...]:
    choices: list[ModelChoice] = []
    for text in given.models:
        name, equals, model = text.partition("=")
        named = equals and name and model and not Path(text).expanduser().exists()
        choice = ModelChoice(model, name) if named else ModelChoice(text)
        if choice not in choices:
            choices.append(choice)
    if not choices:
        raise WrongUsageError(
            "name a MODEL: a local folder, a GGUF file, a catalog name or a Hugging Face name"
        )
    names = [choice.name or choice.model for choice in choices]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise WrongUsageError(
            f"two models are called {twice!r}; give each a name of its own: --model NAME=MODEL"
        )
    return tuple(choices)


def _parser(kind: Literal["tool", "reasoning"], name: str | None) -> str | None:
    """A parser's name, "auto", or None for no parser."""
    if name is None or name.casefold() in ("", "none", "auto"):
        return "auto" if name is not None and name.casefold() == "auto" else None
    from pagoda.text.answers import UnknownParserError, check_parser

    try:
        return check_parser(kind, name)
    except UnknownParserError as error:
        raise WrongUsageError(f"{str(error).rstrip('.')}, auto, none") from error


def _quantization(text: str | None) -> str | None:
    if text is None or text.casefold() == "gguf":
        return None
    if text.casefold() in _QUANTIZATIONS:
        return text.casefold()
    raise WrongUsageError(
        f"--quantization {text} is not supported: float weights can be quantised to int8 or int4 while "
        f"loading; "
        "of a model that is quantised already, take a GGUF file"
    )


def _chat_template(text: str | None) -> str | None:
    """The source of a template that was given as a file or written out."""
    if text is None:
        return None
    path = Path(text).expanduser()
    try:
        if path.is_file():
            return path.read_text("utf-8")
    except (OSError, ValueError) as error:  # also a text that is too long for a name of a file
        if not any(mark in text for mark in "{}\n"):
            raise UsageError(f"--chat-template {text[:80]} cannot be read: {error}") from error
    if not any(mark in text for mark in "{}\n"):
        raise UsageError(f"--chat-template: there is no file {text}, and it is not a template either")
    return text.replace("\\n", "\n") if "\n" not in text else text


def _overrides(given: Given) -> dict[str, Any]:
    found: dict[str, Any] = {}
    scaling, theta = given.values.get("rope-scaling"), given.values.get("rope-theta")
    if scaling is not None:
        found["rope_scaling"] = scaling
    if theta is not None:
        found["rope_theta"] = theta
    overrides = given.values.get("hf-overrides")
    if overrides is not None and not isinstance(overrides, dict):
        raise WrongUsageError("--hf-overrides must be a JSON object with fields of config.json")
    return found | (overrides or {})


def _runner(given: Given) -> str:
    runner, convert = given.text("runner") or "auto", given.text("convert") or "auto"
    task = given.text("task")
    if convert in ("embed", "classify") or task in _POOLING_TASKS:
        return "pooling"
    return "generate" if task == "generate" and runner == "auto" else runner


def _pooling(config: Any) -> dict[str, Any]:
    if not isinstance(config, dict):
        raise WrongUsageError("--pooler-config must be a JSON object")
    found: dict[str, Any] = {}
    kind = config.get("pooling_type") or config.get("seq_pooling_type")
    if kind is not None:
        method = _POOLING.get(str(kind).upper())
        if method is None:
            raise WrongUsageError(f"--pooler-config: pooling_type is {kind!r}, not LAST, MEAN or CLS")
        found["pooling"] = method
    normalize = config.get("normalize", config.get("use_activation"))
    if normalize is not None:
        found["normalize"] = bool(normalize)
    return found


def _sampling_defaults(given: Given) -> dict[str, Any]:
    """Where requests' sampling defaults come from: auto, vllm, or a generation_config.json elsewhere."""
    source = given.text("generation-config")
    if source in (None, "auto", "vllm"):
        return {"default_sampling": source or "auto"}
    path = Path(str(source)).expanduser()
    file = path / "generation_config.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"--generation-config {source} is neither auto nor vllm nor a folder with a "
            f"generation_config.json: "
            f"{error}"
        ) from error
    if not isinstance(content, dict):
        raise UsageError(f"{file} holds no JSON object")
    own = given.values.get("override-generation-config") or {}
    return {"default_sampling": "vllm", "override_generation_config": {**content, **own}}


def _lora_module(text: str) -> LoraModule:
    """NAME=PATH, or a JSON object with name, path and base_model_name."""
    if text.lstrip().startswith("{"):
        try:
            entry = json.loads(text)
            base = entry.get("base_model_name")
            return LoraModule(str(entry["name"]), str(entry["path"]), str(base) if base else None)
        except (ValueError, KeyError) as error:
            raise WrongUsageError(f"--lora-modules {text}: it needs name and path ({error})") from error
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise WrongUsageError(f"--lora-modules {text}: write NAME=PATH")
    return LoraModule(name, path)


def _file(spelling: str, text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise UsageError(f"{spelling}: there is no file {path}")
    return path


def _number(name: str, text: str, unit: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise UsageError(f"{name} is {text!r}, not a number of {unit}")
    return value


def _is_on(text: str | None) -> bool:
    return (text or "").strip().casefold() in ("1", "true", "yes", "on")
