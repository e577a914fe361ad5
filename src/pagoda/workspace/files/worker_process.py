"""The other side of `worker.py`: what runs in the process that reads a file.

A worker is a module that calls `serve_once`; it gets its arguments on the command line and answers with one
JSON object. It imports nothing of the server: it starts at once and stays small.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from typing import Any

NO_MEMORY = "It needs too much memory to be read."


class RefusedError(Exception):
    """What a worker was given cannot be read; a sentence for the user; code, values: as in WorkspaceError."""

    def __init__(self, message: str, code: str | None = None, **values: str | int) -> None:
        super().__init__(message)
        self.code = code
        self.values = values


def serve_once(work: Callable[..., dict[str, Any]]) -> None:
    """The whole of a worker: limits first, then `work` on the arguments, then its answer or one sentence."""
    seconds, memory = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        answer = work(*sys.argv[3:])
    except RefusedError as refused:
        answer = {"error": str(refused), "code": refused.code, "values": refused.values}
    except (MemoryError, RecursionError):
        answer = {"error": NO_MEMORY, "code": "file_memory"}
    sys.stdout.write(json.dumps(answer))
