"""The file of answers, which may hold those of a run that was stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO

from pagoda.cli.errors import UsageError


class AnswerFile:
    """Answers are added as they come, each as a whole line at once.

    answered: ids of requests whose answers are there from an earlier run. A torn last line, lines that were
    not sent to the server, and failures of the server itself (status 500 and above) are taken out when the
    file is opened, so that their requests run again. Raises UsageError with one line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.answered = _repair(path) if path.exists() else set()
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = path.open("a", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error

    def add(self, line: str) -> None:
        """Writes one line, whole, before it returns. Raises UsageError where that is not possible."""
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise UsageError(f"{self._path} cannot be written: {error.strerror or error}") from error

    def __enter__(self) -> AnswerFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _repair(path: Path) -> set[str]:
    """Rewrites the file without lines that do not count; returns the ids of those that do."""
    answered: set[str] = set()
    rest = path.with_name(path.name + ".repair")
    dropped = False
    with path.open("rb") as old, rest.open("wb") as new:
        for line in old:
            custom_id = _answered_id(line)
            if custom_id is None or custom_id in answered:
                dropped = True
                continue
            answered.add(custom_id)
            new.write(line)
    if dropped:
        os.replace(rest, path)
    else:
        rest.unlink()
    return answered


def _answered_id(line: bytes) -> str | None:
    """The id of a line that holds a server's answer, else None."""
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("response"), dict):
        return None
    custom_id, status = found.get("custom_id"), found["response"].get("status_code")
    return custom_id if isinstance(custom_id, str) and isinstance(status, int) and status < 500 else None
