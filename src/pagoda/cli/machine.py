"""What this machine gives to the process: processor, cores, memory. Read from the kernel; Linux."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "neon", "asimd", "sve")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: of the machine, free to use, and the limit of the control group (None: no limit)."""

    total: int
    available: int
    limit: int | None


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


def cpu_quota() -> float | None:
    """Cores' worth of time the control group may use; None without a limit."""
    for folder in _cgroup_folders():
        try:
            quota, period = (folder / "cpu.max").read_text().split()
        except (OSError, ValueError):
            continue  # no such controller here
        if quota != "max":
            return int(quota) / int(period)
    return None


def memory() -> Memory:
    """The memory of the machine and of the control group."""
    values: dict[str, int] = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) * 1024
    limit = None
    for folder in _cgroup_folders():
        try:
            text = (folder / "memory.max").read_text().strip()
        except OSError:
            continue  # no such controller here
        if text != "max":
            limit = int(text) if limit is None else min(limit, int(text))
    return Memory(values["MemTotal"], values["MemAvailable"], limit)


def _cgroup_folders() -> list[Path]:
    """The folders of this process's control group (version 2) and of its parents."""
    root = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), None)
    if own is None:
        return []
    folder = root / own.lstrip("/")
    return [parent for parent in (folder, *folder.parents) if parent == root or root in parent.parents]


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
