"""/metrics of a server: its models, its HTTP requests, its process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from pagoda.api.http_metrics import HttpMetrics
from pagoda.api.metric_families import Families
from pagoda.api.model_metrics import ENGINE, ModelMetrics, collect_engine
from pagoda.engine.config import EngineInfo, EngineStats


class MeasuredModel(Protocol):
    """What /metrics reads of a model."""

    @property
    def name(self) -> str: ...

    @property
    def parent(self) -> str | None:
        """The model that this one adapts."""
        ...

    @property
    def metrics(self) -> ModelMetrics: ...

    @property
    def stats(self) -> EngineStats: ...

    @property
    def info(self) -> EngineInfo | None:
        """None while the model is not loaded."""
        ...

    @property
    def committed_bytes(self) -> int:
        """Memory reserved for it; 0 while it is not loaded."""
        ...

    @property
    def sleep_level(self) -> int:
        """0 while awake."""
        ...


class ServerMetrics:
    """A registry that reads everything when it is asked; nothing is computed between."""

    def __init__(self, models: Callable[[], Sequence[MeasuredModel]]) -> None:
        self.http = HttpMetrics()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_Collector(models, self.http))
        ProcessCollector(registry=self.registry)


class _Collector(Collector):
    def __init__(self, models: Callable[[], Sequence[MeasuredModel]], http: HttpMetrics) -> None:
        self._models = models
        self._http = http

    def collect(self) -> Iterable[Metric]:
        families = Families()
        models = self._models()
        for model in models:
            collect_engine(families, model.name, model.stats, model.info, model.sleep_level)
            model.metrics.collect(families)
            labels = {"model_name": model.name, "engine": ENGINE}
            loaded = int(model.info is not None)
            families.gauge("pagoda:model_loaded", "Whether the model is in memory.", labels, loaded)
            text = "Memory reserved for weights and cache."
            families.gauge("pagoda:model_memory_bytes", text, labels, model.committed_bytes)
        _collect_adapters(families, models)
        self._http.collect(families)
        return families


def _collect_adapters(families: Families, models: Sequence[MeasuredModel]) -> None:
    """vLLM's gauge of adapters, whose value is the time and whose labels are lists of names."""
    adapters = [model for model in models if model.parent is not None]
    if not adapters:
        return
    running = [model.name for model in adapters if model.stats.num_requests_running]
    waiting = [model.name for model in adapters if model.stats.num_requests_waiting]
    labels = {
        "model_name": models[0].name,
        "engine": ENGINE,
        "max_lora": str(len(adapters)),
        "running_lora_adapters": ",".join(running),
        "waiting_lora_adapters": ",".join(waiting),
    }
    families.gauge("vllm:lora_requests_info", "Adapters with requests.", labels, time.time())
