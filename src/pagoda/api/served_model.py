"""One model of a server: its names, its engine while it is loaded, and what requests need to know of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from pagoda.api.model_metrics import ModelMetrics
from pagoda.api.sampling import model_defaults
from pagoda.api.settings import ServerSettings
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.config import EngineConfig, EngineInfo, EngineStats
from pagoda.engine.forecast import Forecast
from pagoda.engine.request_log import RequestLog

Residence = Literal["unloaded", "loading", "loaded", "unloading", "sleeping"]


@dataclass(frozen=True, slots=True)
class _Behaviour:
    """What settings and the model's files together say about its answers."""

    sampling: Mapping[str, Any]
    reasoning_parser: str | None
    tool_call_parser: str | None
    marked_reasoning: str | None


class ServedModel:
    """A model with its names; the first is the one in responses. The pool loads and unloads it.

    config: how its engine is started. root: where its files are. parent: the model it is an adapter of.
    """

    def __init__(
        self,
        names: Sequence[str],
        config: EngineConfig,
        settings: ServerSettings,
        *,
        root: str = "",
        parent: str | None = None,
    ) -> None:
        if not names:
            raise ValueError("a model needs at least one name")
        self.names = tuple(names)
        self.config = config
        self.settings = settings
        self.metrics = ModelMetrics(self.name)
        self.root = root or config.model_path
        self.parent = parent
        self.residence: Residence = "unloaded"
        self.leaving = False  #: another model waits for this one's room; no new leases
        self.removed = False  #: it is not served any more
        self.leases = 0
        self.waiting = 0  #: requests that wait for it to be loaded
        self.expected = 0  #: of those, the ones that have not come yet since it was
        self.idle_since = time.monotonic()
        self.was_loaded = False
        self.failure: str | None = None  #: why the last attempt to load it failed
        self.failed_at = 0.0
        self.sleep_level = 0
        self.forecast: Forecast | None = None  #: what it will take, where that could be read without loading
        self._llm: AsyncLLM | None = None
        self._info: EngineInfo | None = None
        self._past = EngineStats()  # counters of engines that were unloaded
        self._found: _Behaviour | None = None

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def in_use(self) -> bool:
        """Whether it must not be unloaded."""
        return self.leases > 0 or self.expected > 0

    @property
    def llm(self) -> AsyncLLM:
        """Its engine. Raises RuntimeError while it is not loaded: hold a lease."""
        if self._llm is None:
            raise RuntimeError(f"the model {self.name} is not loaded")
        return self._llm

    @property
    def loaded_llm(self) -> AsyncLLM | None:
        """Its engine, None while there is none."""
        return self._llm

    @property
    def info(self) -> EngineInfo | None:
        """What its engine said when it became ready; None while there is none."""
        llm = self._llm
        return llm.info if llm is not None and llm.status in ("ready", "degraded") else None

    @property
    def max_model_len(self) -> int | None:
        """Of the engine, also of one that was unloaded; before that what its configuration tells."""
        info = self.info or self._info
        if info is not None:
            return info.max_model_len
        return self.forecast.max_model_len if self.forecast is not None else None

    @property
    def committed_bytes(self) -> int:
        """Memory that its engine has reserved for weights and cache."""
        info = self.info
        if info is not None:
            return info.weight_bytes + info.cache_bytes
        return self.forecast.least_bytes if self._llm is not None and self.forecast is not None else 0

    @property
    def stats(self) -> EngineStats:
        """Counters since the server's start, over all times that the model was loaded. Requests that wait for
        it to be loaded count as waiting.
        """
        found = self._past if self._llm is None else added(self._llm.stats, self._past)
        if not self.waiting:
            return found
        return msgspec.structs.replace(
            found,
            num_requests_waiting=found.num_requests_waiting + self.waiting,
            num_requests_deferred=found.num_requests_deferred + self.waiting,
        )

    @property
    def sampling_defaults(self) -> Mapping[str, Any]:
        """Sampling where a request says nothing; needs a loaded model."""
        return self._behaviour().sampling

    @property
    def reasoning_parser(self) -> str | None:
        """The name of the parser that splits reasoning from the answer; needs a loaded model."""
        return self._behaviour().reasoning_parser

    @property
    def marked_reasoning(self) -> str | None:
        """The parser for how the model's template marks reasoning, whether or not the API splits it."""
        behaviour = self._behaviour()
        return behaviour.reasoning_parser or behaviour.marked_reasoning

    @property
    def tool_call_parser(self) -> str | None:
        """The name of the parser that finds tool calls; needs a loaded model."""
        return self._behaviour().tool_call_parser

    def put(self, llm: AsyncLLM) -> None:
        """Takes an engine that was launched."""
        self._llm, self._found = llm, None
        llm.observe_steps(self._count_step)
        if self.settings.log_requests or self.settings.log_outputs:
            llm.request_log = RequestLog(self.settings.log_outputs, self.settings.max_log_len)

    def take_away(self) -> AsyncLLM | None:
        """Gives the engine up; its counters go on."""
        llm, self._llm, self._found = self._llm, None, None
        if llm is not None:
            self._past = msgspec.structs.replace(
                added(llm.stats, self._past),
                num_requests_running=0,
                num_requests_waiting=0,
                num_requests_deferred=0,
                kv_cache_usage=0.0,
            )
            if llm.has_info:
                self._info = llm.info
        return llm

    def with_adapter(self, name: str, folder: str) -> ServedModel:
        """This model with an adapter merged into its weights, as a model of its own."""
        config = msgspec.structs.replace(self.config, lora=folder)
        return ServedModel((name,), config, self.settings, root=folder, parent=self.name)

    def fail(self, reason: str) -> None:
        """Notes why it could not be loaded, or has stopped."""
        self.failure, self.failed_at = reason, time.monotonic()

    async def end(self) -> None:
        """Ends its engine; running requests end with finish_reason "abort"."""
        llm = self.take_away()
        if llm is not None:
            await llm.shutdown()

    def _count_step(self, before: EngineStats, after: EngineStats) -> None:
        tokens = after.prompt_tokens - before.prompt_tokens
        tokens += after.generation_tokens - before.generation_tokens
        if after.steps != before.steps:
            self.metrics.observe_step(tokens)

    def _behaviour(self) -> _Behaviour:
        if self._found is None:
            settings = self.settings
            own = {} if settings.default_sampling == "vllm" else self.llm.generation_config
            sampling = model_defaults({**own, **settings.override_generation_config}, "auto")
            self._found = _Behaviour(sampling, *self._parsers())
        return self._found

    def _parsers(self) -> tuple[str | None, str | None, str | None]:
        from pagoda.text.answers import detect_parsers

        reasoning, tools = self.settings.reasoning_parser, self.settings.tool_call_parser
        found = detect_parsers(self.config.chat_template or self.llm.tokenizer.chat_template or "")
        reasoning = found[0] if reasoning == "auto" else reasoning
        return reasoning, found[1] if tools == "auto" else tools, found[0]


class Lease:
    """The right to use a loaded model: it is not unloaded before `release`, which may be called twice."""

    def __init__(self, model: ServedModel, on_release: Callable[[ServedModel], None]) -> None:
        self.model = model
        self.llm = model.llm
        self._on_release: Callable[[ServedModel], None] | None = on_release

    @property
    def name(self) -> str:
        """The model's name in responses."""
        return self.model.name

    def release(self) -> None:
        """Ends the lease."""
        if self._on_release is not None:
            self._on_release(self.model)
            self._on_release = None


def added(now: EngineStats, past: EngineStats) -> EngineStats:
    """The gauges of `now` with the counters of both."""
    return msgspec.structs.replace(
        now,
        prompt_tokens=now.prompt_tokens + past.prompt_tokens,
        generation_tokens=now.generation_tokens + past.generation_tokens,
        prefix_cache_queries=now.prefix_cache_queries + past.prefix_cache_queries,
        prefix_cache_hits=now.prefix_cache_hits + past.prefix_cache_hits,
        num_preemptions=now.num_preemptions + past.num_preemptions,
        steps=now.steps + past.steps,
        restarts=now.restarts + past.restarts,
    )
