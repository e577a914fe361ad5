"""`pagoda serve`: models behind an OpenAI-compatible API, with the flags of `vllm serve`."""

from __future__ import annotations

from collections.abc import Sequence

from pagoda.cli.flags.table import SERVE
from pagoda.cli.serving import run_serving

USAGE = """Usage: pagoda serve MODEL [FLAGS]
       pagoda serve --model NAME=MODEL --model NAME=MODEL ... [FLAGS]

Serve a model: OpenAI-compatible API, and a page with accounts and chats (not with --no-workspace). MODEL
is a local folder, a GGUF file, a catalog name (see `pagoda list`) or a Hugging Face name. Every flag of
`vllm serve` is accepted."""


def run(arguments: Sequence[str]) -> int:
    """Serves until it is told to stop; returns the exit code. Raises what main turns into one line."""
    return run_serving(arguments, SERVE, USAGE)
