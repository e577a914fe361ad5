"""The file of answers, which may hold those of a run that was stopped."""

from __future__ import annotations

import fcntl
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
    file is opened, so that their requests run again. Raises UsageError with one line, also while another
    batch writes the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _locked(path)
            self.answered, repaired = _repair(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
        if repaired is not None:
            self._file.close()
            self._file = repaired

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


def _locked(path: Path) -> IO[str]:
    """The file, to be added to, and nobody else's until it is closed. Raises UsageError."""
    file = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = os.path.samestat(os.fstat(file.fileno()), path.stat())
    except BlockingIOError:
        ours = False
    if not ours:  # somebody has it, or has put a repaired one in its place meanwhile
        file.close()
        raise UsageError(f"{path} is being written by another batch; wait for it or name another file")
    return file


def _repair(path: Path) -> tuple[set[str], IO[str] | None]:
    """The ids of the lines that count; and where there are others, the file that now stands in the place of
    the old one, without them, open and locked.
    """
    answered: set[str] = set()
    rest = path.with_name(path.name + ".repair")
    dropped = False
    new = rest.open("w", encoding="utf-8")
    try:
        fcntl.flock(new, fcntl.LOCK_EX)
        with path.open("rb") as old:
            for line in old:
                custom_id = _answered_id(line)
                if custom_id is None or custom_id in answered:
                    dropped = True
                    continue
                answered.add(custom_id)
                new.buffer.write(line)
        new.flush()
        if dropped:
            os.replace(rest, path)
            return answered, new
        rest.unlink()
    except BaseException:
        new.close()
        raise
    new.close()
    return answered, None


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
