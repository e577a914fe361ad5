"""What this machine is: processor, memory and how fast it is read. From the kernel; Linux."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "neon", "asimd", "sve")


def processor_name() -> str:
    """The processor's name for people."""
    return next(_cpuinfo("model name"), None) or os.uname().machine


def instruction_sets() -> list[str]:
    """Those among the processor's that matter to the kernels."""
    flags = set((next(_cpuinfo("flags"), None) or next(_cpuinfo("Features"), "")).split())
    return [flag for flag in _FLAGS if flag in flags]


def _cpuinfo(key: str) -> Iterator[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == key:
            yield value.strip()


def total_memory() -> int | None:
    """Bytes of memory of the machine; None where the kernel does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")), None)


def in_container(root: Path = Path("/")) -> bool:
    """Whether this process runs in a container of Docker or Podman. `root` is where their marks are found."""
    return any((root / name).exists() for name in (".dockerenv", "run/.containerenv"))


def read_bandwidth(megabytes: int = 128, seconds: float = 0.6) -> float:
    """Bytes a second that all cores together read from memory: the best of some rounds."""
    import time
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    workers = len(os.sched_getaffinity(0))
    parts = [np.ones(megabytes * 2**20 // 8 // workers, dtype=np.uint64) for _ in range(workers)]
    total = sum(part.nbytes for part in parts)
    best = 0.0
    with ThreadPoolExecutor(workers) as pool:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            started = time.perf_counter()
            list(pool.map(np.bitwise_or.reduce, parts))
            best = max(best, total / (time.perf_counter() - started))
    return best
