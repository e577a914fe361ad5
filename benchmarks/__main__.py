"""Every figure of the README: `python -m benchmarks`, or `make bench` and `make bench-peers`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from benchmarks import (
    chat_opening,
    limits,
    memory,
    sections,
    server,
    serving,
    warm_start,
    workspace,
    workspace_streams,
)
from benchmarks.client import WorkerError, llamacpp_worker, pagoda_worker
from benchmarks.cost import CostModel
from benchmarks.peers import Runs, time_in_turn
from benchmarks.report import Report
from benchmarks.service import ServiceError
from benchmarks.throughput import summarise
from benchmarks.workloads import WORKLOADS
from pagoda.cli.console import progress_reporter
from pagoda.hub import DEFAULT_MODEL, HubError, resolve
from pagoda.weights.checkpoint import CheckpointError

PARTS = ("start", "memory", "speed", "server", "serving", "workspace")
_STARTS = 5
_STREAMS = (1, 25)
_STREAM_TOKENS = 256
#: (kind, tokens a second) offered to the server by a scripted model
_SERVING = (("chat", 10_000), ("completions", 10_000), ("chat with parsers", 10_000), ("chat", 20_000))


def main() -> int:
    arguments = _parse()
    try:
        _run(arguments)
    except (HubError, CheckpointError, WorkerError, ServiceError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a GGUF file, a folder or a catalog name")
    parser.add_argument("--threads", type=int, help="threads of every engine (default: the cores given)")
    parser.add_argument("--llamacpp", metavar="PYTHON", help="a Python that has llama-cpp-python and NumPy")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs, or pairs, of each workload")
    parser.add_argument("--limit-seconds", type=float, default=3.0, help="time for each look at the limits")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--output", type=Path, default=Path("artifacts/bench"), help="folder for the files")
    return parser.parse_args()


def _run(arguments: argparse.Namespace) -> None:
    model = resolve(arguments.model, progress=progress_reporter()).path
    threads: int = arguments.threads or len(os.sched_getaffinity(0))
    costs = CostModel(model)
    report = Report()
    sections.add_machine(report, model, threads)
    ceiling = limits.measure(arguments.limit_seconds, threads)
    if "start" in arguments.parts:
        sections.add_warm_start(report, warm_start.measure(model, threads, _STARTS))
    if "memory" in arguments.parts:
        sections.add_memory(report, memory.measure(model, costs, threads))
    if "server" in arguments.parts:
        loads = [server.measure(model, streams, _STREAM_TOKENS, threads) for streams in _STREAMS]
        sections.add_server(report, loads)
    if "serving" in arguments.parts:
        offered = [serving.measure(kind, tokens_per_second=rate) for kind, rate in _SERVING]
        sections.add_serving(report, offered)
    if "workspace" in arguments.parts:
        workspace.add_section(report, workspace.measure())
        workspace_streams.add_section(report, workspace_streams.measure())
        chat_opening.add_section(report, chat_opening.measure())
    runs, peer = _time_all(arguments, model, threads) if "speed" in arguments.parts else ([], None)
    # Looked at again: on a machine that others use too, the higher figure is nearer to the limit.
    ceiling = limits.better(ceiling, limits.measure(arguments.limit_seconds, threads))
    sections.add_limits(report, ceiling, limits.measure(arguments.limit_seconds, 1), threads)
    if runs:
        found = [summarise(each.workload, each.ours, costs, ceiling) for each in runs]
        sections.add_throughput(report, found)
    if peer:
        sections.add_comparison(report, runs, peer)
    elif runs:
        print("llama.cpp on the same file beside it: make bench-peers, or --llamacpp PYTHON\n")
    text, data = report.save(arguments.output)
    print(f"Written to {text} and {data}")


def _time_all(arguments: argparse.Namespace, model: Path, threads: int) -> tuple[list[Runs], str | None]:
    with pagoda_worker(model, threads) as ours:
        vocab_size = ours.ready["vocab_size"]
        if not arguments.llamacpp:
            return [time_in_turn(work, ours, None, vocab_size, arguments.repeats) for work in WORKLOADS], None
        with llamacpp_worker(arguments.llamacpp, model, threads) as theirs:
            runs = [time_in_turn(work, ours, theirs, vocab_size, arguments.repeats) for work in WORKLOADS]
            return runs, theirs.ready["engine"]


if __name__ == "__main__":
    sys.exit(main())
