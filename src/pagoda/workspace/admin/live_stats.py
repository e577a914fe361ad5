"""What the live page wants to know of the server around the workspace; composition gives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReading:
    """A model of this server: gauges of this moment, and counters since the server's start.

    state: unloaded, loading, loaded, unloading or sleeping. error: why it could not be loaded, or has
    stopped. cache_used: share of the cache that requests hold, 0 to 1. cache_tokens: what the cache holds at
    most; None while it is not loaded. prompt_tokens, generation_tokens: of prompts that were read, and
    written. cache_queries, cache_hits: tokens looked up in the prefix cache, and found. memory: bytes
    reserved.
    """

    name: str
    state: str
    error: str | None = None
    running: int = 0
    waiting: int = 0
    cache_used: float = 0.0
    cache_tokens: int | None = None
    prompt_tokens: int = 0
    generation_tokens: int = 0
    cache_queries: int = 0
    cache_hits: int = 0
    preemptions: int = 0
    restarts: int = 0
    memory: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineReading:
    """Memory in bytes: resident in the server's process and in the engines', what there is, and what can
    still be taken; None where the system does not say. Processor time in seconds since the processes' start.
    """

    server_memory: int | None = None
    engine_memory: int | None = None
    total_memory: int | None = None
    available_memory: int | None = None
    server_seconds: float = 0.0
    engine_seconds: float = 0.0
    cores: int = 1


class LiveStats(Protocol):
    """Cheap enough to be asked once a second."""

    def models(self) -> Sequence[ModelReading]: ...

    def machine(self) -> MachineReading: ...
