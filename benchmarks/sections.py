"""The report's sections: what each figure is called, and what the project asks of it."""

from __future__ import annotations

import platform
from pathlib import Path
from statistics import median

from benchmarks.limits import Limits
from benchmarks.memory import Memory
from benchmarks.peers import Runs
from benchmarks.report import Report, table, verdict
from benchmarks.server import ServerLoad
from benchmarks.serving import ServingLoad
from benchmarks.throughput import Throughput
from benchmarks.workloads import MANY_STREAMS, ONE_STREAM, PREFILL, Workload

# What the project asks of itself with the default model.
WARM_START_SECONDS = 2.0
BESIDE_MODEL_BYTES = 250e6
SERVER_CORES = 0.05
SERVED_TOKENS = 10_000  # a second, by one core of the server
FIRST_TOKEN_MS = 20.0
TIMES_AS_FAST = {ONE_STREAM: 2.0, MANY_STREAMS: 4.0, PREFILL: 5.0}


def add_machine(report: Report, model: Path, threads: int) -> None:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    data = {
        "processor": names[0] if names else platform.machine(),
        "threads": threads,
        "python": platform.python_version(),
        "model": model.name,
    }
    report.add("machine", "Machine and model", "\n".join(f"{k}: {v}" for k, v in data.items()), data)


def add_limits(report: Report, together: Limits, alone: Limits, threads: int) -> None:
    def row(name: str, limits: Limits) -> list[str]:
        return [
            name,
            f"{limits.read_gb_s:.1f}",
            f"{limits.int8_gop_s:.0f}",
            f"{limits.bf16_gflop_s:.0f}",
            f"{limits.f32_gflop_s:.0f}",
        ]

    text = table(
        ["threads", "reads GB/s", "int8 Gop/s", "bf16 GFLOP/s", "f32 GFLOP/s"],
        [row(str(threads), together), row("1", alone)],
    )
    report.add("limits", "The machine's measured limits", text, {"all": together, "one": alone})


def add_warm_start(report: Report, seconds: list[float]) -> None:
    middle = median(seconds)
    text = (
        f"from `pagoda serve` to the first token: {middle:.2f} s (median of "
        f"{', '.join(f'{value:.2f}' for value in sorted(seconds))}); "
        f"at most {WARM_START_SECONDS} s: {verdict(middle, WARM_START_SECONDS, at_most=True)}"
    )
    report.add("warm_start", "Warm start", text, {"seconds": seconds, "median": middle})


def add_memory(report: Report, found: Memory) -> None:
    def row(name: str, rss: int, pss: int) -> list[str]:
        return [name, f"{rss / 1e6:.0f}", f"{pss / 1e6:.0f}"]

    rows = [row(process.name, process.rss, process.pss) for process in found.processes]
    text = "\n".join(
        [
            table(["process", "RSS MB", "PSS MB"], [*rows, row("together", found.rss, found.pss)]),
            f"of PSS: {found.weights / 1e6:.0f} MB weights, {found.cache_filled / 1e6:.0f} MB filled cache, "
            f"{found.beside_model / 1e6:.0f} MB all else; at most {BESIDE_MODEL_BYTES / 1e6:.0f} MB: "
            + verdict(found.beside_model, BESIDE_MODEL_BYTES, at_most=True),
        ]
    )
    report.add("memory", "Memory while serving", text, {"all_else": found.beside_model, "sizes": found})


def add_throughput(report: Report, found: list[Throughput]) -> None:
    rows = []
    for each in found:
        rows.append(
            [str(each.workload), f"{each.seconds:.3f}", f"{each.tokens_per_second:.1f}", "", "", "", ""]
        )
        for phase in each.phases:
            rows.append(
                [
                    f"  {phase.name}",
                    f"{phase.seconds:.3f}",
                    f"{phase.tokens / phase.seconds:.1f}",
                    f"{phase.gb_s:.1f}",
                    f"{phase.read_share:.0%}",
                    f"{phase.gop_s:.0f}",
                    f"{phase.int8_share:.0%}",
                ]
            )
    header = ["requests x (in -> out)", "seconds", "tokens/s", "GB/s", "of reads", "Gop/s", "of int8"]
    text = (
        table(header, rows)
        + "\nA workload's tokens/s are new tokens over the whole run, then those of its prompts and answers."
        + "\nGB/s: packed weights and cache read at least once a step; Gop/s: two a multiply-add."
    )
    report.add("throughput", "Speed", text, found)


def add_comparison(report: Report, runs: list[Runs], peer: str) -> None:
    rows = []
    for each in runs:
        ours = median(timing.rate for timing in each.ours)
        theirs = median(timing.rate for timing in each.theirs)
        rows.append(
            [
                str(each.workload),
                f"{ours:.1f}" if each.workload.new_tokens > 1 else _seconds(each, peer=False),
                f"{theirs:.1f}" if each.workload.new_tokens > 1 else _seconds(each, peer=True),
                f"{each.times_as_fast():.2f}",
                *_wanted(each.workload, each.times_as_fast()),
            ]
        )
    text = table(["tokens/s (or seconds)", "pagoda", "llama.cpp", "times as fast", "wanted", "met"], rows) + (
        f"\n{peer}, the same file and threads. {len(runs[0].ours)} pairs of runs in turn; rates are medians, "
        "times as fast is the median over pairs."
    )
    data = {"peer": peer, "runs": runs, "times_as_fast": [each.times_as_fast() for each in runs]}
    report.add("llamacpp", "Beside llama.cpp", text, data)


def add_server(report: Report, loads: list[ServerLoad]) -> None:
    rows = [
        [
            str(load.streams),
            f"{load.tokens_per_second:.0f}",
            f"{load.server_cores:.1%}",
            f"{load.engine_cores:.0%}",
        ]
        for load in loads
    ]
    text = table(["HTTP streams", "tokens/s", "server of a core", "engine of a core"], rows)
    text += (
        f"\nThe server at most {SERVER_CORES:.0%} of a core: "
        + verdict(max(load.server_cores for load in loads), SERVER_CORES, at_most=True)
        + ". The client runs on the same cores."
    )
    report.add("server", "The server at full speed", text, loads)


def add_serving(report: Report, loads: list[ServingLoad]) -> None:
    def spread(values: tuple[float, float, float]) -> str:
        return " / ".join(f"{value:.1f}" for value in values)

    rows = [
        [
            f"{load.streams} x {load.kind}",
            f"{load.tokens_per_second:.0f}",
            f"{load.chunks_per_token:.3f}",
            f"{load.server_seconds / load.seconds:.0%}",
            f"{load.microseconds_a_token:.1f}",
            f"{1e6 / load.microseconds_a_token:.0f}",
            spread(load.first_ms),
            spread(load.gap_ms),
        ]
        for load in loads
    ]
    header = [
        "streams", "tokens/s", "chunks a token", "server", "us a token", "tokens/s a core",
        "first token ms", "between ms",
    ]  # fmt: skip
    first = loads[0]
    text = (
        table(header, rows)
        + "\nTimes: median / p95 / p99, the model's step included. The server has a core of its own, "
        + "model and clients share another.\n"
        + f"At least {SERVED_TOKENS:,} tokens/s a core, each a chunk: "
        + verdict(1e6 / first.microseconds_a_token, SERVED_TOKENS, at_most=False)
        + f". First token at p95 within {FIRST_TOKEN_MS:.0f} ms: "
        + verdict(first.first_ms[1], FIRST_TOKEN_MS, at_most=True)
        + "."
    )
    report.add("serving", "The server with a scripted model", text, loads)


def _seconds(runs: Runs, *, peer: bool) -> str:
    return f"{median(timing.seconds for timing in (runs.theirs if peer else runs.ours)):.3f} s"


def _wanted(workload: Workload, ratio: float) -> list[str]:
    wanted = TIMES_AS_FAST.get(workload)
    return ["", ""] if wanted is None else [f"{wanted:g}", verdict(ratio, wanted, at_most=False)]
