"""Warm start: from making the process of `pagoda serve` to the first token of a streamed answer.

The client asks at once and again until it is let in, so what it sees is all a user waits: interpreter,
imports, weights, web server, tokenizer, prompt and first token. The model file is in the page cache and
Python's files are compiled, as after any first use.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.service import Service, ServiceError


def measure(model: Path, threads: int | None = None) -> float:
    """Seconds of one start."""
    with Service(model, threads) as service:
        for event in service.stream("Say hello.", max_tokens=4, temperature=0):
            if any(choice["delta"].get("content") for choice in event["choices"]):
                return time.monotonic() - service.started
    raise ServiceError("the answer had no text")
