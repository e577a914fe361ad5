"""`pagoda`: finds the command, and turns what goes wrong into one line.

A command's module is imported only when the command runs (or for the list in --help), and each keeps its
heavy imports inside functions: the time from the command to the first token of an answer is measured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from pagoda.cli.errors import is_user_error

COMMANDS = ("up", "serve", "chat", "pull", "list", "inspect", "doctor")

# The base of what typer raises for a wrong option or argument; where it lives depends on the version.
_USAGE_ERROR = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class _Commands(TyperGroup):
    """The commands in the order of COMMANDS, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"pagoda.cli.{cmd_name}")
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name=cmd_name)(module.command)
        return get_command(app)


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


def run(arguments: Sequence[str]) -> int:
    """Runs the command line; returns the exit code: 0, 1 for a failure, 2 for wrong usage, 130 for Ctrl-C."""
    app = typer.Typer(cls=_Commands, callback=_root, add_completion=False, rich_markup_mode=None)
    try:
        code = get_command(app)(list(arguments) or ["--help"], prog_name="pagoda", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped", 130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("PAGODA_DEBUG"):
            raise
        if isinstance(error, _USAGE_ERROR):
            return _usage_failure(error)
        if is_user_error(error):
            return _fail(str(error), 1)
        return _fail(f"internal error: {type(error).__name__}: {error} (PAGODA_DEBUG=1 shows where)", 1)


def _usage_failure(error: Any) -> int:
    text = error.format_message()
    context = error.ctx.command_path if getattr(error, "ctx", None) is not None else "pagoda"
    return _fail(f"{text.rstrip('.')} (see `{context} --help`)", 2)


def _fail(text: str, code: int) -> int:
    sys.stderr.write("pagoda: " + " ".join(text.split()) + "\n")
    return code


def main() -> None:
    """The entry point of the `pagoda` command."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
