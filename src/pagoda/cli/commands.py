"""The commands that typer reads, and the list of all in --help."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

COMMANDS = (
    "up",
    "serve",
    "chat",
    "complete",
    "run-batch",
    "pull",
    "list",
    "rm",
    "inspect",
    "user",
    "backup",
    "restore",
    "doctor",
    "collect-env",
)

_OWN_GRAMMAR = {
    "up": "Start the service and its chat in the browser.",
    "serve": "Serve models: OpenAI-compatible API and browser chat.",
    "run-batch": "Answer a file of requests (OpenAI's batch format).",
}


class _Commands(TyperGroup):
    """The commands in the order of COMMANDS, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        if cmd_name in _OWN_GRAMMAR:
            app.command(name=cmd_name, help=_OWN_GRAMMAR[cmd_name])(_run_elsewhere)
        else:
            module = import_module(f"pagoda.cli.{cmd_name.replace('-', '_')}")
            if hasattr(module, "app"):  # a command with commands of its own
                return get_command(module.app)
            app.command(name=cmd_name)(module.command)
        return get_command(app)


def _run_elsewhere() -> None:
    """Stands in the list for a command that main.py runs before typer is imported."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from pagoda import __version__

        typer.echo(f"pagoda {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Pagoda: a private LLM service on this machine, with its own engine, an OpenAI-compatible API, and a
    chat in the browser or the terminal.

    Start with `pagoda up`: it fetches a small model and serves a chat at http://127.0.0.1:8000.
    """


def run_typer(arguments: Sequence[str]) -> int:
    """Runs a command that typer reads; returns its exit code. Raises typer's errors for wrong usage."""
    app = typer.Typer(cls=_Commands, callback=_root, add_completion=False, rich_markup_mode=None)
    code = get_command(app)(list(arguments) or ["--help"], prog_name="pagoda", standalone_mode=False)
    return code if isinstance(code, int) else 0
