"""Times and sizes of one model's requests, by the names that dashboards for vLLM look for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pagoda.api.metric_families import Families, Tally
from pagoda.engine.config import EngineInfo, EngineStats
from pagoda.engine.outputs import RequestMetrics
from pagoda.engine.params import SamplingParams

ENGINE = "0"  #: the label of vLLM's data-parallel engines, of which a model here has one

_TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000)
_STEP_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_SECONDS = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920)
_FIRST = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160,
    640, 2560,
)  # fmt: skip
_BETWEEN = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
)  # fmt: skip
_FEW = (1, 2, 5, 10, 20)
_REASONS = ("stop", "length", "abort", "error")


class ModelMetrics:
    """Filled by the routes as requests go on, in the server's one thread, and read by /metrics."""

    def __init__(self, model_name: str) -> None:
        self._labels = {"model_name": model_name, "engine": ENGINE}
        self.time_to_first_token = Tally(_FIRST)
        self.inter_token_latency = Tally(_BETWEEN)
        self.time_per_output_token = Tally(_BETWEEN)
        self.e2e_latency = Tally(_SECONDS)
        self.queue_time = Tally(_SECONDS)
        self.prefill_time = Tally(_SECONDS)
        self.inference_time = Tally(_SECONDS)
        self.decode_time = Tally(_SECONDS)
        self.prompt_tokens = Tally(_TOKENS)
        self.generation_tokens = Tally(_TOKENS)
        self.max_generation_tokens = Tally(_TOKENS)
        self.computed_prompt_tokens = Tally(_TOKENS)
        self.params_n = Tally(_FEW)
        self.params_max_tokens = Tally(_TOKENS)
        self.iteration_tokens = Tally(_STEP_TOKENS)
        self._cached_tokens = 0
        self._computed_tokens = 0
        self._reasons = Counter(dict.fromkeys(_REASONS, 0))

    def observe_step(self, tokens: int) -> None:
        """A step of the engine that brought so many tokens of finished prompts and of answers."""
        self.iteration_tokens.observe(tokens)

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
        self._reasons.update(reasons)
        self.prompt_tokens.observe(prompt_tokens)
        self._cached_tokens += cached_tokens
        self._computed_tokens += prompt_tokens - cached_tokens
        self.computed_prompt_tokens.observe(prompt_tokens - cached_tokens)
        for count in answer_tokens:
            self.generation_tokens.observe(count)
        longest = max(answer_tokens, default=0)
        self.max_generation_tokens.observe(longest)
        self.params_n.observe(params.n)
        if params.max_tokens is not None:
            self.params_max_tokens.observe(params.max_tokens)
        if times is not None:
            self._observe_times(times, longest)

    def observe_pooling(self, prompt_tokens: int, seconds: float, reason: str) -> None:
        """A prompt of a pooling engine has ended, so long after it came."""
        self._reasons.update((reason,))
        self.prompt_tokens.observe(prompt_tokens)
        self._computed_tokens += prompt_tokens
        self.computed_prompt_tokens.observe(prompt_tokens)
        self.e2e_latency.observe(seconds)

    def _observe_times(self, times: RequestMetrics, longest: int) -> None:
        if times.first_token_time is None:
            return
        self.time_to_first_token.observe(times.first_token_time - times.arrival_time)
        scheduled = times.first_scheduled_time
        if scheduled is not None:
            self.queue_time.observe(scheduled - times.arrival_time)
            self.prefill_time.observe(times.first_token_time - scheduled)
        if times.finished_time is None:
            return
        decode = times.finished_time - times.first_token_time
        self.e2e_latency.observe(times.finished_time - times.arrival_time)
        self.decode_time.observe(decode)
        if scheduled is not None:
            self.inference_time.observe(times.finished_time - scheduled)
        if longest > 1:
            self.time_per_output_token.observe(decode / (longest - 1))

    def collect(self, families: Families) -> None:
        """Adds what was observed so far."""
        labels = self._labels
        for name, (text, tally) in self._histograms().items():
            families.histogram(f"vllm:{name}", text, labels, tally)
        families.counter(
            "vllm:prompt_tokens_cached", "Prompt tokens found in the cache.", labels, self._cached_tokens
        )
        sources = {"local_compute": self._computed_tokens, "local_cache_hit": self._cached_tokens}
        for source, count in sources.items():
            families.counter(
                "vllm:prompt_tokens_by_source",
                "Prompt tokens of requests that ended, computed or found in the cache.",
                {**labels, "source": source},
                count,
            )
        for reason, count in self._reasons.items():
            families.counter(
                "vllm:request_success",
                "Requests that ended, by reason.",
                {**labels, "finished_reason": reason},
                count,
            )

    def _histograms(self) -> Mapping[str, tuple[str, Tally]]:
        between = ("Between the tokens of an answer.", self.inter_token_latency)
        return {
            "time_to_first_token_seconds": ("From arrival to the first token.", self.time_to_first_token),
            "inter_token_latency_seconds": between,
            "time_per_output_token_seconds": between,  # the name that older dashboards use
            "request_time_per_output_token_seconds": (
                "Mean time of a token after the first.",
                self.time_per_output_token,
            ),
            "e2e_request_latency_seconds": ("From arrival to the end.", self.e2e_latency),
            "request_queue_time_seconds": ("From arrival to the engine.", self.queue_time),
            "request_prefill_time_seconds": ("From the engine to the first token.", self.prefill_time),
            "request_inference_time_seconds": ("From the engine to the end.", self.inference_time),
            "request_decode_time_seconds": ("From the first token to the end.", self.decode_time),
            "request_prompt_tokens": ("Tokens of a prompt.", self.prompt_tokens),
            "request_generation_tokens": ("Tokens of an answer.", self.generation_tokens),
            "request_max_num_generation_tokens": (
                "Tokens of the longest answer.",
                self.max_generation_tokens,
            ),
            "request_prefill_kv_computed_tokens": (
                "Prompt tokens that were not in the cache.",
                self.computed_prompt_tokens,
            ),
            "request_params_n": ("Answers asked for.", self.params_n),
            "request_params_max_tokens": ("Tokens asked for at most.", self.params_max_tokens),
            "iteration_tokens_total": ("Tokens of a step of the engine.", self.iteration_tokens),
        }


def collect_engine(
    families: Families, model_name: str, stats: EngineStats, info: EngineInfo | None, sleep_level: int
) -> None:
    """Adds the numbers of an engine itself; `info` is None while the model is not loaded. sleep_level: 0 for
    awake.
    """
    labels = {"model_name": model_name, "engine": ENGINE}
    usage = ("Share of the cache in use, 0 to 1.", stats.kv_cache_usage)
    gauges = {
        "num_requests_running": ("Requests that the engine works on.", stats.num_requests_running),
        "num_requests_waiting": ("Requests that wait for the engine.", stats.num_requests_waiting),
        "kv_cache_usage_perc": usage,
        "gpu_cache_usage_perc": usage,  # the name that older dashboards use
    }
    for name, (text, value) in gauges.items():
        families.gauge(f"vllm:{name}", text, labels, value)
    deferred = stats.num_requests_deferred
    waiting = {"capacity": stats.num_requests_waiting - deferred, "deferred": deferred}
    for reason, value in waiting.items():
        families.gauge(
            "vllm:num_requests_waiting_by_reason",
            "Requests that wait for the engine, by what they wait for.",
            {**labels, "reason": reason},
            value,
        )
    counters = {
        "vllm:prompt_tokens": ("Prompt tokens processed.", stats.prompt_tokens),
        "vllm:generation_tokens": ("Tokens generated.", stats.generation_tokens),
        "vllm:num_preemptions": ("Requests put back to be computed again.", stats.num_preemptions),
        "vllm:prefix_cache_queries": ("Tokens looked up in the prefix cache.", stats.prefix_cache_queries),
        "vllm:prefix_cache_hits": ("Tokens found in the prefix cache.", stats.prefix_cache_hits),
        "pagoda:engine_restarts": ("Engine processes replaced after a failure.", stats.restarts),
    }
    for name, (text, value) in counters.items():
        families.counter(name, text, labels, value)
    for level, state in enumerate(("awake", "weights_offloaded", "discard_all")):
        families.gauge(
            "vllm:engine_sleep_state",
            "1 for the state that the engine is in.",
            {**labels, "sleep_state": state},
            int(level == sleep_level),
        )
    if info is not None:
        sizes = {"block_size": str(info.block_size), "num_gpu_blocks": str(info.num_blocks)}
        families.gauge("vllm:cache_config_info", "Sizes of the cache.", {**labels, **sizes}, 1)
