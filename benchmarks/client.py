"""Starting workers and giving them work."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.workloads import Workload


class WorkerError(RuntimeError):
    """A worker could not start or died; the message is one line."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds until the last token, and until every request had its first; tokens made."""

    seconds: float
    first_token_seconds: float
    tokens: int

    @property
    def rate(self) -> float:
        """New tokens a second over the whole run, prompts included."""
        return self.tokens / self.seconds


class Worker:
    """An engine in a process of its own, idle between workloads. `ready` is what it said of itself."""

    def __init__(self, command: Sequence[str]) -> None:
        self._name = Path(command[1]).name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe could fill up
        try:
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
            )
        except OSError as error:
            raise WorkerError(f"{command[0]}: {error.strerror}") from error
        self.ready: dict[str, Any] = self._read()

    def time(self, workload: Workload, vocab_size: int) -> Timing:
        """Runs the workload once."""
        job = {"prompts": workload.prompts(vocab_size), "new_tokens": workload.new_tokens}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return Timing(**self._read())

    def close(self) -> None:
        self._process.communicate()
        self._errors.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        self._process.communicate()
        self._errors.seek(0)
        last = self._errors.read().strip().splitlines()[-1:] or ["no message"]
        raise WorkerError(f"{self._name} ended: {last[0]}")


def pagoda_worker(model: Path, threads: int | None) -> Worker:
    """Pagoda in this environment."""
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), str(model)]
    return Worker([*command, str(threads)] if threads else command)


def llamacpp_worker(python: str, model: Path, threads: int) -> Worker:
    """llama.cpp in the environment of `python`, which must have llama-cpp-python and NumPy."""
    return Worker([python, str(Path(__file__).with_name("llamacpp_worker.py")), str(model), str(threads)])
