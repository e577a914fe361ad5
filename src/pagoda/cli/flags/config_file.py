"""Flags from a YAML file, as `--config` takes one: names of flags as keys, with `-` or `_`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pagoda.cli.errors import UsageError, WrongUsageError
from pagoda.cli.flags.command_line import unknown_flag
from pagoda.cli.flags.flag import Kind, Table
from pagoda.cli.flags.values import read_yaml

_MODEL_KEYS = ("model", "model-tag")


def read_config_file(path: Path, table: Table) -> tuple[dict[str, Any], list[str]]:
    """Values by the names of flags, and the models under `model`. Null leaves a flag ungiven.

    A key may have dots (speculative-config.method) or begin with "no-". Raises UsageError for a file that
    cannot be read, WrongUsageError for what it holds.
    """
    values: dict[str, Any] = {}
    models: list[str] = []
    for key, value in _read(path).items():
        name = str(key).strip().lstrip("-").replace("_", "-")
        if value is None:
            continue
        if name in _MODEL_KEYS:
            models += _models(value)
            continue
        name, _, field = name.partition(".")
        flag = table.long(name)
        if flag is None and isinstance(value, bool) and name.startswith("no-"):
            flag, value = table.long(name[3:]), not value
        if flag is None or flag.name == "config":
            raise WrongUsageError(f"{path}: {unknown_flag('--' + name, table)}")
        try:
            if field and flag.kind is Kind.JSON:
                read = {**values.get(flag.name, {}), str(key).partition(".")[2]: value}
            else:
                read = read_yaml(flag, value)
        except ValueError as error:
            raise WrongUsageError(f"{path}: {name}: {error}") from error
        values[flag.name] = read
    return values, models


def _models(value: Any) -> list[str]:
    """One model, a list of them, or an object of names and models."""
    if isinstance(value, dict):
        return [f"{name}={model}" for name, model in value.items()]
    return [str(item) for item in (value if isinstance(value, list) else [value])]


def _read(path: Path) -> dict[Any, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, ValueError) as error:
        line = " ".join(str(error).split())
        raise UsageError(f"--config {path} is not valid YAML: {line[:200]}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"--config {path} must hold names of flags with values, such as `port: 8000`")
    return content
