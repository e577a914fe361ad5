"""The terminal side of `pagoda chat`: reads lines, shows answers, stops them on Ctrl-C."""

from __future__ import annotations

import asyncio
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Protocol

import typer

from pagoda.cli.chat_commands import NAMES, Commands
from pagoda.cli.console import say
from pagoda.cli.conversation import Conversation
from pagoda.cli.errors import UsageError, is_user_error

PROMPT = "> "
PROMPT_MORE = ". "


class Partner(Protocol):
    """Who is talked to: an engine of this process's own, or a server."""

    async def open(self) -> tuple[Conversation, str]:
        """The conversation once it can begin, and a line about the model."""
        ...

    @property
    def is_gone(self) -> bool:
        """Whether no further answer can be had."""
        ...

    async def close(self) -> None: ...


def run_chat(partner: Partner, quick: str | None = None) -> int:
    """Talks until the user leaves; returns the exit code. `quick`, and input that is no terminal, is one
    question.
    """
    with asyncio.Runner() as runner:
        try:
            if quick is not None or not sys.stdin.isatty():
                return _answer_once(runner, partner, sys.stdin.read() if quick is None else quick)
            return _talk(runner, partner)
        finally:
            runner.run(partner.close())


def _answer_once(runner: asyncio.Runner, partner: Partner, question: str) -> int:
    if not question.strip():
        raise UsageError("there is nothing to answer: the input is empty")
    conversation, _ = runner.run(partner.open())
    write = plain_writer()
    runner.run(_stream(conversation, question.strip(), write))
    write("\n")
    return 0


def _talk(runner: asyncio.Runner, partner: Partner) -> int:
    # While the engine loads, this process imports what draws.
    import readline

    from rich.console import Console

    from pagoda.cli.markdown_stream import MarkdownStream

    readline.set_completer(_complete)
    readline.set_completer_delims(" \t\n")
    readline.parse_and_bind("tab: complete")
    conversation, model_line = runner.run(partner.open())
    commands = Commands(conversation, model_line, typer.echo)
    console = Console()
    typer.echo(f"{model_line}\n/help lists the commands, Ctrl-D leaves.")
    while True:
        try:
            text = read_message(input)
        except KeyboardInterrupt:
            typer.echo("\nCtrl-D or /exit leaves.")
            continue
        except EOFError:
            typer.echo()
            return 0
        if not text.strip():
            continue
        if text.startswith("/") and "\n" not in text:
            if not commands.run(text):
                return 0
            continue
        try:
            if sys.stdout.isatty():
                with _no_echo(), MarkdownStream(console) as stream:
                    runner.run(_stream(conversation, text, stream.push))
            else:
                write = plain_writer()
                runner.run(_stream(conversation, text, write))
                write("\n")
        except KeyboardInterrupt:
            say("")
        except Exception as error:
            if not is_user_error(error) or partner.is_gone:
                raise
            say(f"pagoda: {error}")
            continue
        console.print(conversation.stats.line(), style="dim", highlight=False)


@contextmanager
def _no_echo() -> Iterator[None]:
    """Keys pressed during an answer, Ctrl-C among them, are not echoed into what is being redrawn."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    silent = termios.tcgetattr(terminal)
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, before)


async def _stream(conversation: Conversation, question: str, write: Callable[[str], None]) -> None:
    async with aclosing(conversation.answer(question)) as pieces:
        async for piece in pieces:
            write(piece)


def plain_writer() -> Callable[[str], None]:
    """Writes pieces of text to standard output at once, without control characters where it is a terminal."""
    from pagoda.cli.plain_text import plain_text

    safe = sys.stdout.isatty()

    def write(piece: str) -> None:
        sys.stdout.write(plain_text(piece) if safe else piece)
        sys.stdout.flush()

    return write


def read_message(read_line: Callable[[str], str]) -> str:
    """One message: a line, lines joined by a backslash at their end, or a text between triple quotes."""
    line = read_line(PROMPT)
    if line.lstrip().startswith('"""'):
        lines = [line.lstrip()[3:]]
        while not lines[-1].rstrip().endswith('"""'):
            lines.append(read_line(PROMPT_MORE))
        lines[-1] = lines[-1].rstrip()[:-3]
        return "\n".join(lines).strip("\n")
    lines = [line]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1][:-1]
        lines.append(read_line(PROMPT_MORE))
    return "\n".join(lines)


def _complete(text: str, state: int) -> str | None:
    matches = [name for name in NAMES if name.startswith(text)] if text.startswith("/") else []
    return matches[state] if state < len(matches) else None
