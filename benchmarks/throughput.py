"""Tokens a second, with the achieved GB/s and operations a second and their share of the machine's limits."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from benchmarks.client import Timing
from benchmarks.cost import Cost, CostModel
from benchmarks.limits import Limits
from benchmarks.workloads import Workload


@dataclass(frozen=True, slots=True)
class Phase:
    """The prompts, or the steps after them: median seconds, and rates in 10^9 a second."""

    name: str
    tokens: int  #: of the prompts, or the answers without their first tokens
    seconds: float
    gb_s: float
    gop_s: float
    read_share: float
    int8_share: float


@dataclass(frozen=True, slots=True)
class Throughput:
    """A workload's medians over the runs."""

    workload: Workload
    seconds: float
    tokens_per_second: float
    phases: list[Phase]


def summarise(workload: Workload, timings: list[Timing], costs: CostModel, limits: Limits) -> Throughput:
    """Shares are of `limits`; operations are compared with the int8 peak, as quantised products use it."""

    def phase(name: str, tokens: int, seconds: float, cost: Cost) -> Phase:
        gb_s, gop_s = cost.bytes / seconds / 1e9, cost.operations / seconds / 1e9
        return Phase(name, tokens, seconds, gb_s, gop_s, gb_s / limits.read_gb_s, gop_s / limits.int8_gop_s)

    first = median(timing.first_token_seconds for timing in timings)
    phases = [phase("prompts", workload.requests * workload.prompt_tokens, first, costs.prefill(workload))]
    if workload.new_tokens > 1:
        rest = median(timing.seconds - timing.first_token_seconds for timing in timings)
        answers = workload.requests * (workload.new_tokens - 1)
        phases.append(phase("answers", answers, rest, costs.decode(workload)))
    return Throughput(
        workload,
        median(timing.seconds for timing in timings),
        median(timing.rate for timing in timings),
        phases,
    )
