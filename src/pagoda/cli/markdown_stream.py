"""Markdown on a terminal while it is still being written.

Blocks that are finished are printed for good and scroll away like any output; only the block that still grows
is redrawn. So a long answer never has to be redrawn as a whole, and what has scrolled up stays right.
"""

from __future__ import annotations

import re
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment

from pagoda.cli.plain_text import plain_text

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

REDRAW_SECONDS = 0.07
REDRAW_SHARE = 5  #: redrawing may take one part in so many of the time
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_LIST_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)")


def finished_length(text: str) -> int:
    """How many characters at the start of `text` are whole blocks that no further text can change.

    A block ends at a blank line outside a code fence, once the line after it has begun and does not belong to
    a list that may go on.
    """
    fence: str | None = None
    in_list = False
    cut = 0
    blank_before = False
    position = 0
    for line in text.splitlines(keepends=True):
        complete = line.endswith("\n")
        if fence is not None:
            closing = line.strip()
            if complete and closing.startswith(fence) and not closing.strip(fence[0]):
                fence = None
        elif not line.strip():
            blank_before = blank_before or complete
        else:
            starts_item = _LIST_ITEM.match(line) is not None
            certain = complete or len(line) > 4  # shorter, it might become a list item yet
            goes_on = in_list and (starts_item or line[0] in " \t" or not certain)
            if blank_before and not goes_on:
                cut = position
                in_list = False
            in_list = in_list or starts_item
            blank_before = False
            opening = _FENCE.match(line)
            if opening and not in_list:
                fence = opening.group(1)
        position += len(line)
    return cut


class MarkdownStream:
    """Shows an answer as it comes; a context manager. `text` is all of it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")
        self._pending = ""
        self._next_redraw = 0.0
        self._printed = False
        self.text = ""

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def push(self, piece: str) -> None:
        """Adds text; redraws now and then."""
        self.text += piece
        self._pending += plain_text(piece)
        length = finished_length(self._pending)
        if length:
            self._print(self._pending[:length])
            self._pending = self._pending[length:]
        started = time.monotonic()
        if length or started >= self._next_redraw:
            self._live.update(_Tail(self._pending), refresh=True)
            now = time.monotonic()
            self._next_redraw = now + max(REDRAW_SECONDS, (now - started) * REDRAW_SHARE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.update("")
        self._live.stop()
        if self._pending.strip():
            self._print(self._pending)

    def _print(self, block: str) -> None:
        if self._printed:
            self._console.print()
        self._console.print(Markdown(block))
        self._printed = True


class _Tail:
    """The last lines of Markdown, as many as the terminal has room for."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(Markdown(self._text), options.update(height=None), pad=False)
        for line in lines[-max(1, console.size.height - 2) :]:
            yield from line
            yield Segment.line()
