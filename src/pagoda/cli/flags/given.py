"""All that a command was given, from the command line and from a config file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagoda.cli.errors import WrongUsageError
from pagoda.cli.flags.command_line import CommandLine
from pagoda.cli.flags.config_file import read_config_file
from pagoda.cli.flags.flag import Table


@dataclass(frozen=True, slots=True)
class Given:
    """Values by the names of flags, the models, and the environment beside them."""

    values: Mapping[str, Any]
    models: tuple[str, ...]
    environ: Mapping[str, str]

    def text(self, name: str) -> str | None:
        """A value as text; None where the flag was not given or stands for "not said"."""
        value = self.values.get(name)
        return None if value is None else str(value)


def read_given(found: CommandLine, table: Table, environ: Mapping[str, str]) -> Given:
    """Joins the command line with its config file, over which it goes, and finds the models.

    Raises WrongUsageError, or UsageError for a file that cannot be read, with one line.
    """
    file_values: dict[str, Any] = {}
    file_models: list[str] = []
    config = found.values.pop("config", None)
    if config is not None:
        file_values, file_models = read_config_file(Path(config).expanduser(), table)
    models = [*found.words, *found.values.pop("model", [])]
    if len(found.words) > 1:
        raise WrongUsageError(
            f"one MODEL is expected, not {' and '.join(found.words)}; for several: --model NAME=MODEL, "
            f"repeated"
        )
    if not models:
        models = file_models
    if not models and (word := found.give_back()) is not None:
        models = [word]
    return Given({**file_values, **found.values}, tuple(models), environ)
