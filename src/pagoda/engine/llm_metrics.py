"""The engine's counters as `LLM.get_metrics` gives them: the names and kinds of vLLM's."""

from __future__ import annotations

from dataclasses import dataclass, field

from pagoda.engine.config import EngineStats


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric by its Prometheus name."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counter(Metric):
    """A number that only grows."""

    value: int = 0


@dataclass(frozen=True, slots=True)
class Gauge(Metric):
    """A number of this moment."""

    value: float = 0.0


def engine_metrics(stats: EngineStats, model_name: str) -> list[Metric]:
    labels = {"model_name": model_name, "engine": "0"}
    return [
        Gauge("vllm:num_requests_running", labels, stats.num_requests_running),
        Gauge("vllm:num_requests_waiting", labels, stats.num_requests_waiting),
        Gauge("vllm:kv_cache_usage_perc", labels, stats.kv_cache_usage),
        Counter("vllm:prompt_tokens", labels, stats.prompt_tokens),
        Counter("vllm:generation_tokens", labels, stats.generation_tokens),
        Counter("vllm:prefix_cache_queries", labels, stats.prefix_cache_queries),
        Counter("vllm:prefix_cache_hits", labels, stats.prefix_cache_hits),
        Counter("vllm:num_preemptions", labels, stats.num_preemptions),
    ]
