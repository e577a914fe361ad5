"""What long work looks like on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from pagoda.hub.progress import ProgressReporter, format_bytes

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_SECONDS = 1.5  #: a bar for less is only noise


def say(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def is_terminal() -> bool:
    """Whether standard error is a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def progress_reporter() -> ProgressReporter:
    """The reporter that suits standard error."""
    return BarProgress() if is_terminal() else LineProgress()


class LoadingProgress:
    """The progress of loading a model, shown only when it takes longer than a moment; takes (done, total)."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._reporter = progress_reporter()
        self._started = time.monotonic()
        self._shown = False

    def update(self, done: int, total: int) -> None:
        """`done` bytes of `total` are loaded."""
        if not self._shown:
            if time.monotonic() - self._started < PATIENCE_SECONDS:
                return
            self._shown = True
            self._reporter.start(self._description, total)
        self._reporter.update(done, total)

    def finish(self) -> None:
        """Loading is over, well or not."""
        if self._shown:
            self._shown = False
            self._reporter.finish()


class LineProgress:
    """Plain lines for logs: when a task begins, at each quarter, and how it ends."""

    def __init__(self) -> None:
        self._description = ""
        self._total: int | None = None
        self._said = 0

    def message(self, text: str) -> None:
        say(text)

    def start(self, description: str, total: int | None) -> None:
        self._description, self._total, self._said = description, total, 0
        say(description + (f" ({format_bytes(total)})" if total else ""))

    def update(self, done: int, total: int | None = None) -> None:
        self._total = total or self._total
        if not self._total:
            return
        quarter = min(done * 4 // self._total, 4)
        if quarter > self._said:
            self._said = quarter
            say(f"{self._description}: {quarter * 25} %")

    def finish(self) -> None:
        return None


class BarProgress:
    """One bar for the task at hand, gone when it is over. rich is imported when the first task begins."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def message(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(text, highlight=False, markup=False)
        else:
            say(text)

    def start(self, description: str, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as SpeedColumn

        self.finish()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            SpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(description, total=total)
        self._progress.start()

    def update(self, done: int, total: int | None = None) -> None:
        if self._progress is None or self._task is None:
            return
        if total is None:
            self._progress.update(self._task, completed=done)
        else:
            self._progress.update(self._task, completed=done, total=total)

    def finish(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None
