"""/metrics: the engine's state and the requests' times, by the names that dashboards for vLLM look for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pagoda.engine.config import EngineInfo, EngineStats
from pagoda.engine.outputs import RequestMetrics
from pagoda.engine.params import SamplingParams

_ENGINE = "0"
_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000)
_SECONDS = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920)
_FIRST = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160,
    640, 2560,
)  # fmt: skip
_BETWEEN = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.075,
    0.1,
    0.15,
    0.2,
    0.3,
    0.4,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
    20,
    40,
    80,
)
_FEW = (1, 2, 5, 10, 20)
_LABELS = ("model_name", "engine")


class ServerMetrics:
    """Times and sizes of requests, counted here, beside the engine's own numbers, read when asked for."""

    def __init__(
        self, model_name: str, stats: Callable[[], EngineStats], info: Callable[[], EngineInfo | None]
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_EngineCollector(model_name, stats, info))
        ProcessCollector(registry=self.registry)
        self._labels = (model_name, _ENGINE)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            made = Histogram(f"vllm:{name}", text, _LABELS, buckets=buckets, registry=self.registry)
            return made.labels(*self._labels)

        self._first = histogram("time_to_first_token_seconds", "From arrival to the first token.", _FIRST)
        self._between = histogram("inter_token_latency_seconds", "Between the tokens of an answer.", _BETWEEN)
        self._per_token = histogram(
            "request_time_per_output_token_seconds", "Mean time of a token after the first.", _BETWEEN
        )
        self._whole = histogram("e2e_request_latency_seconds", "From arrival to the end.", _SECONDS)
        self._queue = histogram("request_queue_time_seconds", "From arrival to the engine.", _SECONDS)
        self._prefill = histogram(
            "request_prefill_time_seconds", "From the engine to the first token.", _SECONDS
        )
        self._inference = histogram("request_inference_time_seconds", "From the engine to the end.", _SECONDS)
        self._decode = histogram("request_decode_time_seconds", "From the first token to the end.", _SECONDS)
        self._prompt = histogram("request_prompt_tokens", "Tokens of a prompt.", _TOKENS)
        self._answer = histogram("request_generation_tokens", "Tokens of an answer.", _TOKENS)
        self._longest = histogram(
            "request_max_num_generation_tokens", "Tokens of the longest answer.", _TOKENS
        )
        self._n = histogram("request_params_n", "Answers asked for.", _FEW)
        self._limit = histogram("request_params_max_tokens", "Tokens asked for at most.", _TOKENS)
        self._cached = Counter(
            "vllm:prompt_tokens_cached", "Prompt tokens found in the cache.", _LABELS, registry=self.registry
        ).labels(*self._labels)
        self._success = Counter(
            "vllm:request_success",
            "Requests that ended, by reason.",
            (*_LABELS, "finished_reason"),
            registry=self.registry,
        )
        for reason in ("stop", "length", "abort", "error"):
            self._success.labels(*self._labels, reason)

    def observe_inter_token(self, seconds: float) -> None:
        self._between.observe(seconds)

    def observe_request(
        self,
        *,
        prompt_tokens: int,
        cached_tokens: int,
        answer_tokens: Sequence[int],
        reasons: Sequence[str],
        times: RequestMetrics | None,
        params: SamplingParams,
    ) -> None:
        """A prompt with its answers has ended; a reason for each answer."""
        for reason in reasons:
            self._success.labels(*self._labels, reason).inc()
        self._prompt.observe(prompt_tokens)
        self._cached.inc(cached_tokens)
        for count in answer_tokens:
            self._answer.observe(count)
        self._longest.observe(max(answer_tokens))
        self._n.observe(params.n)
        if params.max_tokens is not None:
            self._limit.observe(params.max_tokens)
        if times is None or times.first_token_time is None:
            return
        self._first.observe(times.first_token_time - times.arrival_time)
        scheduled = times.first_scheduled_time
        if scheduled is not None:
            self._queue.observe(scheduled - times.arrival_time)
            self._prefill.observe(times.first_token_time - scheduled)
        if times.finished_time is None:
            return
        decode = times.finished_time - times.first_token_time
        self._whole.observe(times.finished_time - times.arrival_time)
        self._decode.observe(decode)
        if scheduled is not None:
            self._inference.observe(times.finished_time - scheduled)
        if max(answer_tokens) > 1:
            self._per_token.observe(decode / (max(answer_tokens) - 1))


class _EngineCollector(Collector):
    def __init__(
        self, model_name: str, stats: Callable[[], EngineStats], info: Callable[[], EngineInfo | None]
    ) -> None:
        self._labels = (model_name, _ENGINE)
        self._stats = stats
        self._info = info

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        gauges = {
            "num_requests_running": ("Requests that the engine works on.", stats.num_requests_running),
            "num_requests_waiting": ("Requests that wait for the engine.", stats.num_requests_waiting),
            "kv_cache_usage_perc": ("Share of the cache in use, 0 to 1.", stats.kv_cache_usage),
        }
        counters = {
            "prompt_tokens": ("Prompt tokens processed.", stats.prompt_tokens),
            "generation_tokens": ("Tokens generated.", stats.generation_tokens),
            "num_preemptions": ("Requests put back to be computed again.", stats.num_preemptions),
            "prefix_cache_queries": ("Tokens looked up in the prefix cache.", stats.prefix_cache_queries),
            "prefix_cache_hits": ("Tokens found in the prefix cache.", stats.prefix_cache_hits),
        }
        for name, (text, value) in gauges.items():
            gauge = GaugeMetricFamily(f"vllm:{name}", text, labels=_LABELS)
            gauge.add_metric(self._labels, value)
            yield gauge
        for name, (text, value) in counters.items():
            counter = CounterMetricFamily(f"vllm:{name}", text, labels=_LABELS)
            counter.add_metric(self._labels, value)
            yield counter
        restarts = CounterMetricFamily("pagoda:engine_restarts", "Engine processes replaced.", labels=_LABELS)
        restarts.add_metric(self._labels, stats.restarts)
        yield restarts
        info = self._info()
        if info is not None:
            sizes = {"block_size": str(info.block_size), "num_gpu_blocks": str(info.num_blocks)}
            cache = GaugeMetricFamily(
                "vllm:cache_config_info", "Sizes of the cache.", labels=(*_LABELS, *sizes)
            )
            cache.add_metric((*self._labels, *sizes.values()), 1)
            yield cache
