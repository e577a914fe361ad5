"""What is timed: so many requests at once, each of so many prompt tokens and so many new ones."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests sent together; greedy, never ended early, without text and without a prefix cache."""

    requests: int
    prompt_tokens: int
    new_tokens: int

    def prompts(self, vocab_size: int) -> list[list[int]]:
        """Random token ids, the same in every run and for every engine; those under 10 are often special."""
        source = random.Random(f"{self.requests}:{self.prompt_tokens}")
        return [
            [source.randrange(10, vocab_size) for _ in range(self.prompt_tokens)]
            for _ in range(self.requests)
        ]

    def __str__(self) -> str:
        return f"{self.requests} x ({self.prompt_tokens} -> {self.new_tokens})"


ONE_STREAM = Workload(1, 64, 128)
MANY_STREAMS = Workload(25, 64, 128)
PREFILL = Workload(1, 1024, 1)
WORKLOADS = (ONE_STREAM, MANY_STREAMS, PREFILL)
