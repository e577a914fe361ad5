"""Warm start: from making the process of `pagoda serve` to the first token of a streamed answer.

The client asks at once and again until it is let in, so what it sees is all a user waits: interpreter,
imports, weights, database, web server, tokenizer, prompt and first token. The model file is in the page
cache, Python's files are compiled and the workspace has its database, as after any first use.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.service import Service, ServiceError


def measure(model: Path, threads: int | None, starts: int) -> list[float]:
    """Seconds of so many starts, after the first of all."""
    with tempfile.TemporaryDirectory(prefix="pagoda-bench-") as home:
        return [_start(model, threads, home) for _ in range(1 + starts)][1:]


def _start(model: Path, threads: int | None, home: str) -> float:
    with Service(model, threads, home=home) as service:
        for event in service.stream("Say hello.", max_tokens=4, temperature=0):
            if any(choice["delta"].get("content") for choice in event["choices"]):
                return time.monotonic() - service.started
    raise ServiceError("the answer had no text")
