"""From a command line of `pagoda serve` or `pagoda up` to a running service."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pagoda.cli.console import say
from pagoda.cli.flags.command_line import read_command_line
from pagoda.cli.flags.flag import Table
from pagoda.cli.flags.given import Given, read_given


def run_serving(
    arguments: Sequence[str],
    table: Table,
    usage: str,
    *,
    default_model: str | None = None,
    defaults: Sequence[str] = (),
) -> int:
    """Serves until it is told to stop; returns the exit code. Raises what main turns into one line.

    default_model: where none is named. defaults: flags that hold where they are not given.
    """
    found = read_command_line(arguments, table)
    if found.help is not None:
        from pagoda.cli.flags.help import help_text

        sys.stdout.write(help_text(table, found.help, usage) + "\n")
        return 0
    from pagoda.cli.flags import environment, notices
    from pagoda.cli.flags.meaning import service_options
    from pagoda.cli.service import run_service

    given = read_given(found, table, os.environ)
    values = {**read_command_line(defaults, table).values, **given.values}
    models = given.models or ((default_model,) if default_model is not None else ())
    given = Given(values, models, given.environ)
    lines = notices.notices(values, found.spelled, table) + environment.notices(os.environ)
    options = service_options(given, table)
    for line in lines:
        say(f"pagoda: {line}")
    environment.settle(os.environ, hf_token=given.text("hf-token"), download_dir=given.text("download-dir"))
    return run_service(options)
