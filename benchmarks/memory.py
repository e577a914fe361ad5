"""Memory of all processes of the service while it serves, beside the model's weights and its cache.

Counted for every process of the service, from /proc/PID/smaps_rollup after some answers: the resident set
(RSS) and the proportional set (PSS: a page that several processes share counts in equal parts, so the sum
over processes is what the machine really gives). Taken off PSS: the bytes of the weights, and the cache that
the requests filled, in whole blocks. Nothing else is taken off: interpreter, libraries, buffers, tokenizer
and the unused parts of pages that the cache touched all count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cost import CACHE_VALUE_BYTES, CostModel
from benchmarks.service import Service

_BLOCK = 32  # tokens
_PROMPTS = ("What is a pagoda?", "Write a short poem about rain.", "Count from one to ten.")


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """Bytes of one process."""

    name: str
    rss: int
    pss: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the whole service."""

    processes: list[ProcessMemory]
    weights: int
    cache_filled: int

    @property
    def rss(self) -> int:
        return sum(process.rss for process in self.processes)

    @property
    def pss(self) -> int:
        return sum(process.pss for process in self.processes)

    @property
    def beside_model(self) -> int:
        return self.pss - self.weights - self.cache_filled


def measure(model: Path, costs: CostModel, threads: int | None = None) -> Memory:
    """Asks three questions one after another, then reads the sizes."""
    tokens = 0
    with Service(model, threads) as service:
        for prompt in _PROMPTS:
            blocks = 0
            for event in service.stream(
                prompt, max_tokens=64, temperature=0, stream_options={"include_usage": True}
            ):
                if event.get("usage"):
                    blocks = math.ceil(event["usage"]["total_tokens"] / _BLOCK)
            tokens += blocks * _BLOCK
        processes = [ProcessMemory(name, *_sizes(pid)) for pid, name in service.processes().items()]
    cache = tokens * costs.plan.cache_values * CACHE_VALUE_BYTES
    return Memory(processes, costs.plan.total_weight_bytes, cache)


def _sizes(pid: int) -> tuple[int, int]:
    values: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) * 1024
    return values["Rss"], values["Pss"]
