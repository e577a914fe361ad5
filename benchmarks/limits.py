"""The machine's measured limits: what the speeds are compared with."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pagoda import _kernels


@dataclass(frozen=True, slots=True)
class Limits:
    """Of all threads together, in 10^9 a second; a multiply and an add are two operations."""

    read_gb_s: float
    int8_gop_s: float
    bf16_gflop_s: float
    f32_gflop_s: float


def measure(seconds: float, threads: int) -> Limits:
    """Takes about `seconds`; the best of many short rounds (kernels/limits)."""
    return Limits(**_kernels.measure_limits(seconds, threads))


def better(a: Limits, b: Limits) -> Limits:
    """The higher of each figure: on a machine that others use too, the best round is nearest to the limit."""
    return Limits(**{name: max(value, getattr(b, name)) for name, value in asdict(a).items()})
