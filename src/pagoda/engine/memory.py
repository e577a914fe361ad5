"""How much memory this process may still take: the machine's and its control group's limits (Linux)."""

from __future__ import annotations

from pathlib import Path


def available_bytes(root: Path = Path("/")) -> int | None:
    """Bytes that can be taken without swapping or hitting a cgroup limit; None where neither can be read.

    `root` is where /proc and /sys are found.
    """
    cgroups = [left for _, left in _cgroup_bytes(root)]
    found = [value for value in (_machine_bytes(root, "MemAvailable:"), *cgroups) if value is not None]
    return max(0, min(found)) if found else None


def total_bytes(root: Path = Path("/")) -> int | None:
    """Bytes that there are for this process and those beside it: the machine's, or what a cgroup allows."""
    cgroups = [total for total, _ in _cgroup_bytes(root)]
    found = [value for value in (_machine_bytes(root, "MemTotal:"), *cgroups) if value is not None]
    return min(found) if found else None


def oom_kills(root: Path = Path("/")) -> int | None:
    """Processes the kernel has killed for memory since boot, on the whole machine; None where it does not
    say.
    """
    return _field(root / "proc/vmstat", "oom_kill")


def _machine_bytes(root: Path, name: str) -> int | None:
    value = _field(root / "proc/meminfo", name)
    return None if value is None else value * 1024


def _cgroup_bytes(root: Path) -> list[tuple[int, int]]:
    """Each limit above this process and what it leaves, for cgroup v2 and v1. Reclaimable file pages do not
    count as used.
    """
    found: list[tuple[int, int]] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, used, inactive = (
                root / "sys/fs/cgroup",
                "memory.max",
                "memory.current",
                "inactive_file",
            )
        elif "memory" in controllers.split(","):
            base, limit = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
            used, inactive = "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        folder = base / path.lstrip("/")
        # Inside a container the path may be the host's; the limit then lies at the mount itself.
        for place in (folder, *folder.parents):
            total, taken = _number(place / limit), _number(place / used)
            if total is not None and taken is not None:
                left = total - taken + (_field(place / "memory.stat", inactive) or 0)
                found.append((total, left))
            if place == base:
                break
    return found


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None


def _field(path: Path, name: str) -> int | None:
    for line in _text(path).splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == name:
            return int(words[1])
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
