"""How long work tells how far it has come; the command line draws it, libraries keep silent."""

from __future__ import annotations

from typing import Protocol


class ProgressReporter(Protocol):
    """Receives lines and the progress of one task at a time; calls come from one thread at a time."""

    def message(self, text: str) -> None:
        """One line for the user."""
        ...

    def start(self, description: str, total: int | None) -> None:
        """A task begins; `total` in bytes, None where it is not known."""
        ...

    def update(self, done: int, total: int | None = None) -> None:
        """`done` bytes of the task so far; `total` replaces the one given at the start."""
        ...

    def finish(self) -> None:
        """The task is over, well or not."""
        ...


class SilentProgress:
    """A reporter that says nothing."""

    def message(self, text: str) -> None:
        return None

    def start(self, description: str, total: int | None) -> None:
        return None

    def update(self, done: int, total: int | None = None) -> None:
        return None

    def finish(self) -> None:
        return None


def format_bytes(count: int) -> str:
    """`count` bytes for people, in decimal units as disks and downloads are sold: 98.4 MB."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{count} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} TB"
