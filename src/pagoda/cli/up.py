"""`pagoda up`: from nothing to a private chat in one command."""

from __future__ import annotations

from collections.abc import Sequence

from pagoda.cli.flags.up import UP
from pagoda.cli.serving import run_serving

USAGE = """Usage: pagoda up [MODEL] [FLAGS]

Start the service and its page: chats for you and whoever you let in. Without MODEL a small chat model is
fetched on first use. Reasoning is told apart from answers where the model's template marks it
(--reasoning-parser auto). All flags of `pagoda serve` are accepted."""


def run(arguments: Sequence[str]) -> int:
    """Serves until it is told to stop; returns the exit code. Raises what main turns into one line."""
    from pagoda.hub import DEFAULT_MODEL

    defaults = ["--reasoning-parser", "auto", "--workspace"]
    return run_serving(arguments, UP, USAGE, default_model=DEFAULT_MODEL, defaults=defaults)
