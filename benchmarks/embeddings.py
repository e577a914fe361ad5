"""Embeddings of short texts, in turn with sentence-transformers: `python -m benchmarks.embeddings`.

Each side is a process that loads the default embedding model, embeds the same texts once, and then again
whenever it is told to; the sides take turns, and of each the fastest run counts. `--peer PYTHON` names a
Python that has sentence-transformers; without it Pagoda runs alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass

from pagoda.hub import DEFAULT_EMBEDDING_MODEL, SilentProgress, resolve

_TEXTS = r"""
import random, sys, time
folder, threads, count, quantization = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] or None
words = "the quick brown fox jumps over lazy dogs while markets rise and rain falls on old towns".split()
draw = random.Random(0)
texts = [" ".join(draw.choices(words, k=draw.randint(5, 20))) for _ in range(count)]
"""
_OURS = r"""
from pagoda import LLM
llm = LLM(folder, num_threads=threads, quantization=quantization)
embed = lambda: llm.embed(texts, use_tqdm=False)
"""
_PEER = r"""
import torch
from sentence_transformers import SentenceTransformer
torch.set_num_threads(threads)
model = SentenceTransformer(folder, device="cpu")
embed = lambda: model.encode(texts, batch_size=32)
"""
_LOOP = r"""
embed()
print("ready", flush=True)
for _ in sys.stdin:
    seconds, processor = time.perf_counter(), time.process_time()
    embed()
    print(time.perf_counter() - seconds, time.process_time() - processor, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over all texts, in seconds of the clock and of all processors."""

    seconds: float
    processor: float


class Side:
    """A process that embeds the texts when it is told to."""

    def __init__(self, python: str, program: str, arguments: list[str]) -> None:
        self.runs: list[Run] = []
        self._process = subprocess.Popen(
            [python, "-c", _TEXTS + program + _LOOP, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def run(self) -> None:
        if self._process.stdin is None:
            raise RuntimeError("the process was started without an input")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        seconds, processor = map(float, self._read().split())
        self.runs.append(Run(seconds, processor))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise SystemExit("benchmarks.embeddings: a side ended before its time; see above")
        return line


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embeddings", description=__doc__)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--texts", type=int, default=200, help="in a pass")
    parser.add_argument("--repeats", type=int, default=12, help="passes of each side")
    parser.add_argument("--quantization", default="", help="of Pagoda's weights: int8 or int4")
    parser.add_argument("--peer", metavar="PYTHON", help="a Python that has sentence-transformers")
    given = parser.parse_args()
    folder = resolve(DEFAULT_EMBEDDING_MODEL, progress=SilentProgress()).path
    arguments = [str(folder), str(given.threads), str(given.texts), given.quantization]
    sides = {"Pagoda": Side(sys.executable, _OURS, arguments)}
    if given.peer:
        sides["sentence-transformers"] = Side(given.peer, _PEER, arguments)
    try:
        for _ in range(given.repeats):
            for side in sides.values():
                side.run()
    finally:
        for side in sides.values():
            side.end()
    for name, side in sides.items():
        best = min(run.seconds for run in side.runs)
        processor = min(run.processor for run in side.runs)
        print(
            f"{name}: {given.texts / best:,.0f} texts/s, "
            f"{1e3 * processor / given.texts:.2f} ms of processor time a text"
        )


if __name__ == "__main__":
    main()
