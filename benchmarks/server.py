"""What the server process costs at the engine's full speed: its share of a core while it streams to many."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.service import Service, cpu_seconds


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """Streams at once, their tokens a second together, and the cores' worth of time by process."""

    streams: int
    tokens_per_second: float
    server_cores: float
    engine_cores: float


def measure(model: Path, streams: int, max_tokens: int, threads: int | None = None) -> ServerLoad:
    """Streams answers that never end early to `streams` clients at once, each token an event."""
    with Service(model, threads) as service:
        for _ in service.stream("Hello.", max_tokens=4):
            pass  # warm
        counts = [0] * streams

        def ask(index: int) -> None:
            for event in service.stream(
                f"Tell me story number {index}.", max_tokens=max_tokens, temperature=0, ignore_eos=True,
                stream_options={"include_usage": True},
            ):  # fmt: skip
                if event.get("usage"):
                    counts[index] = event["usage"]["completion_tokens"]

        others = [pid for pid in service.processes() if pid != service.pid]
        before = cpu_seconds(service.pid), sum(map(cpu_seconds, others))
        start = time.monotonic()
        clients = [threading.Thread(target=ask, args=(index,)) for index in range(streams)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        seconds = time.monotonic() - start
        server = cpu_seconds(service.pid) - before[0]
        engine = sum(map(cpu_seconds, others)) - before[1]
    return ServerLoad(streams, sum(counts) / seconds, server / seconds, engine / seconds)
