"""What one core of the server process can stream: a scripted model, many clients, processor time a token.

The server has one core for itself; the engine and the clients share another. The engine is paced, so that the
offered load is known and every token is an event of its own: what piles up in a server that cannot follow is
joined, and would show as fewer chunks than tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks import scripted_model
from benchmarks.service import MODEL_NAME, Service, ServiceError

KINDS = ("chat", "completions", "chat with parsers")
_MAX_TOKENS = (150, 350)
_PARSERS = ("--reasoning-parser", "qwen3", "--enable-auto-tool-choice", "--tool-call-parser", "hermes")


@dataclass(frozen=True, slots=True)
class ServingLoad:
    """One load: what was offered and what came. Times in milliseconds, as (median, p95, p99)."""

    kind: str
    streams: int
    seconds: float
    tokens: int
    chunks: int  #: events with text
    answers: int
    server_seconds: float  #: processor time of the server process
    engine_seconds: float
    client_seconds: float
    first_ms: tuple[float, float, float]
    gap_ms: tuple[float, float, float]

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds

    @property
    def microseconds_a_token(self) -> float:
        """Of the server's processor time, everything included: requests, their prompts and their metrics."""
        return 1e6 * self.server_seconds / self.tokens

    def processes(self) -> list[tuple[str, float]]:
        """Processor seconds by process."""
        return [
            ("server", self.server_seconds),
            ("engine", self.engine_seconds),
            ("clients", self.client_seconds),
        ]

    @property
    def chunks_per_token(self) -> float:
        return self.chunks / self.tokens


def measure(
    kind: str,
    *,
    streams: int = 64,
    tokens_per_second: float = 10_000,
    seconds: float = 8.0,
    warm_seconds: float = 2.0,
) -> ServingLoad:
    """kind: "chat", "completions", or "chat with parsers" (reasoning and tool calls).

    tokens_per_second: what the engine offers all streams together; 0: as fast as it can.
    """
    parsers = kind == "chat with parsers"
    step_ms = 1000 * streams / tokens_per_second if tokens_per_second else 0.0
    with (
        tempfile.TemporaryDirectory(prefix="pagoda-bench-") as folder,
        _service(scripted_model.write(Path(folder), step_ms=step_ms, thinking=parsers), parsers) as service,
    ):
        for _ in service.stream("Hello.", max_tokens=4):
            pass  # warm
        server_core, other_core = _two_cores()
        others = [pid for pid in service.processes() if pid != service.pid]
        _pin(service.pid, server_core)
        for pid in others:
            _pin(pid, other_core)
        settings = {
            "port": service.port,
            "streams": streams,
            "kind": kind,
            "max_tokens": _MAX_TOKENS,
            "warm_seconds": warm_seconds,
            "seconds": seconds,
        }
        command = [sys.executable, str(Path(__file__).with_name("stream_clients.py")), json.dumps(settings)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as clients:
            _pin(clients.pid, other_core)
            _await(clients, "start")
            before = _state(service, others, clients.pid)
            _await(clients, "end")
            after = _state(service, others, clients.pid)
            assert clients.stdout is not None
            found: dict[str, Any] = json.loads(clients.stdout.readline())
    server, engine, client, tokens = (b - a for a, b in zip(before, after, strict=True))
    return ServingLoad(
        kind=kind,
        streams=streams,
        seconds=seconds,
        tokens=round(tokens),
        chunks=found["chunks"],
        answers=found["answers"],
        server_seconds=server,
        engine_seconds=engine,
        client_seconds=client,
        first_ms=_spread(found["first"]),
        gap_ms=_spread(found["gaps"]),
    )


@contextmanager
def _service(model: Path, parsers: bool) -> Iterator[Service]:
    arguments: Sequence[str] = _PARSERS if parsers else ()
    with Service(model, arguments=["--executor", "scripted", *arguments]) as service:
        yield service


def _await(clients: subprocess.Popen[str], word: str) -> None:
    assert clients.stdout is not None
    line = clients.stdout.readline().strip()
    if line != word:
        raise ServiceError(f"the clients ended: {line or 'no message'}")


def _state(service: Service, others: Sequence[int], client: int) -> tuple[float, float, float, float]:
    """Processor seconds of server, engine and clients, and the tokens made so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/metrics", timeout=30) as response:
        text = response.read().decode()
    found = re.search(rf'^vllm:generation_tokens_total{{.*"{MODEL_NAME}".*}} (\S+)$', text, re.MULTILINE)
    tokens = float(found[1]) if found else 0.0
    return _cpu_seconds(service.pid), sum(map(_cpu_seconds, others)), _cpu_seconds(client), tokens


def _cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process, to the nanosecond (the kernel's schedstat)."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def _two_cores() -> tuple[set[int], set[int]]:
    """One for the server and one for the rest; the same where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return {cores[0]}, {cores[-1]}


def _pin(pid: int, cores: set[int]) -> None:
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def _spread(seconds: list[float]) -> tuple[float, float, float]:
    """Median, 95th and 99th percentile in milliseconds."""
    if len(seconds) < 2:
        raise ServiceError("too few answers to measure")
    cuts = quantiles(seconds, n=100, method="inclusive")
    return 1e3 * cuts[49], 1e3 * cuts[94], 1e3 * cuts[98]


def describe(load: ServingLoad) -> str:
    """One line for work on the server."""
    first, gap = (" ".join(f"{value:.1f}" for value in spread) for spread in (load.first_ms, load.gap_ms))
    shares = (f"{name} {spent / load.seconds:.0%}" for name, spent in load.processes())
    return (
        f"{load.kind}: {load.tokens_per_second:.0f} tokens/s, {load.microseconds_a_token:.1f} us a token "
        f"({1e6 / load.microseconds_a_token:.0f} a core), {', '.join(shares)}, "
        f"{load.chunks_per_token:.3f} chunks a token, {load.answers} answers, first {first} ms, gaps {gap} ms"
    )


def main() -> None:
    """One load by hand: python -m benchmarks.serving [--kind ...] [--streams N] ..."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0])
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--tokens-per-second", type=float, default=10_000, help="0: as fast as it can")
    parser.add_argument("--seconds", type=float, default=8.0)
    arguments = vars(parser.parse_args())
    print(describe(measure(arguments.pop("kind"), **arguments)))


if __name__ == "__main__":
    main()
