"""What a workload must read and compute, counted from the program: the prediction beside the measurement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.workloads import Workload
from pagoda.execute.plan import Plan, plan
from pagoda.models import build_program
from pagoda.weights import open_checkpoint

CACHE_VALUE_BYTES = 2  #: the cache holds bfloat16


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes of weights and cache read from memory at least, and operations (two a multiply-add)."""

    weight_bytes: float
    cache_bytes: float
    operations: float

    @property
    def bytes(self) -> float:
        return self.weight_bytes + self.cache_bytes


class CostModel:
    """Counts for one checkpoint, in the formats it is stored and streamed in."""

    def __init__(self, path: Path) -> None:
        checkpoint = open_checkpoint(path)
        try:
            self.vocab_size = checkpoint.config.vocab_size
            self.plan: Plan = plan(build_program(checkpoint.config), checkpoint.format)
        finally:
            checkpoint.close()

    def decode(self, workload: Workload) -> Cost:
        """Every step after the first token: each reads all weights once and each request's cache."""
        p, steps = self.plan, workload.new_tokens - 1
        contexts = [workload.prompt_tokens + 1 + step for step in range(steps)]
        cache = sum(contexts) * workload.requests * p.cache_values * CACHE_VALUE_BYTES
        operations = workload.requests * sum(p.flops(context) for context in contexts)
        return Cost(float(p.streamed_bytes * steps), float(cache), float(operations))

    def prefill(self, workload: Workload) -> Cost:
        """The prompts, as one step: weights are read once, and only each last token needs logits."""
        p, n = self.plan, workload.prompt_tokens
        attention = p.attention_flops * n * (n + 1) // 2
        operations = workload.requests * (n * p.linear_flops + attention + p.logits_flops)
        return Cost(float(p.streamed_bytes), 0.0, float(operations))
