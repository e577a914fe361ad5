"""`pagoda serve`: models behind an OpenAI-compatible API, with the flags of `vllm serve`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pagoda.cli.console import say
from pagoda.cli.flags.command_line import read_command_line
from pagoda.cli.flags.given import read_given
from pagoda.cli.flags.table import SERVE

USAGE = """Usage: pagoda serve MODEL [FLAGS]
       pagoda serve --model NAME=MODEL --model NAME=MODEL ... [FLAGS]

Serve a model: OpenAI-compatible API and browser chat. MODEL is a local folder, a GGUF file, a catalog
name (see `pagoda list`) or a Hugging Face name. Every flag of `vllm serve` is accepted."""


def run(arguments: Sequence[str]) -> int:
    """Serves until it is told to stop; returns the exit code. Raises what main turns into one line."""
    found = read_command_line(arguments, SERVE)
    if found.help is not None:
        from pagoda.cli.flags.help import help_text

        sys.stdout.write(help_text(SERVE, found.help, USAGE) + "\n")
        return 0
    from pagoda.cli.flags import environment, notices
    from pagoda.cli.flags.meaning import service_options
    from pagoda.cli.service import run_service

    given = read_given(found, SERVE, os.environ)
    lines = notices.notices(given.values, found.spelled, SERVE) + environment.notices(os.environ)
    options = service_options(given, SERVE)
    for line in lines:
        say(f"pagoda: {line}")
    environment.settle(os.environ, hf_token=given.text("hf-token"), download_dir=given.text("download-dir"))
    return run_service(options)
