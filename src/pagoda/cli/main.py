"""`pagoda`: finds the command, and turns what goes wrong into one line.

A command's module is imported only when the command runs (or for the list in --help), and each keeps its
heavy imports inside functions: the time from the command to the first token of an answer is measured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from pagoda.cli.errors import WrongUsageError, is_user_error

#: commands with the grammar of vLLM's (cli/flags); typer, which takes a while to import, has the others
OWN_GRAMMAR = ("up", "serve", "run-batch")


def run(arguments: Sequence[str]) -> int:
    """Runs the command line; returns the exit code: 0, 1 for a failure, 2 for wrong usage, 130 for Ctrl-C."""
    command = arguments[0] if arguments else ""
    try:
        if command in OWN_GRAMMAR:
            code: int = import_module(f"pagoda.cli.{command.replace('-', '_')}").run(arguments[1:])
            return code
        from pagoda.cli.commands import run_typer

        return run_typer(arguments)
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if _is_abort(error):
            return _fail("stopped", 130)
        if os.environ.get("PAGODA_DEBUG"):
            raise
        if isinstance(error, WrongUsageError):
            return _fail(f"{str(error).rstrip('.')} (see `pagoda {command} --help`)", 2)
        if _is_typers(error, "ClickException"):
            return _usage_failure(error)
        if is_user_error(error):
            return _fail(str(error), 1)
        return _fail(f"internal error: {type(error).__name__}: {error} (PAGODA_DEBUG=1 shows where)", 1)


def _is_typers(error: Exception, name: str) -> bool:
    """Whether an error is of typer's class of that name; where the class lives depends on typer's version."""
    return "typer" in sys.modules and any(base.__name__ == name for base in type(error).__mro__)


def _is_abort(error: Exception) -> bool:
    return _is_typers(error, "Abort")


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
