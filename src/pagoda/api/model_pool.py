"""The models behind one server, by the names that requests give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pagoda.api.errors import ApiError, unavailable
from pagoda.api.metrics import ServerMetrics
from pagoda.api.sampling import model_defaults
from pagoda.api.settings import ServerSettings
from pagoda.engine.async_llm import AsyncLLM


class ServedModel:
    """One model with its names; the first is the one in responses.

    root: where its files are. parent: the model it is an adapter of.
    """

    def __init__(
        self,
        names: Sequence[str],
        llm: AsyncLLM,
        settings: ServerSettings,
        metrics: ServerMetrics,
        *,
        root: str = "",
        parent: str | None = None,
    ) -> None:
        self.names = tuple(names)
        self.llm = llm
        self.settings = settings
        self.metrics = metrics
        self.root = root or self.names[0]
        self.parent = parent

    @property
    def name(self) -> str:
        return self.names[0]

    @cached_property
    def sampling_defaults(self) -> Mapping[str, Any]:
        """Sampling where a request says nothing; needs a ready engine."""
        return model_defaults(self.llm.generation_config, self.settings.default_sampling)


class Lease:
    """The right to use a loaded model: it is not unloaded before `release`, which may be called twice."""

    def __init__(self, model: ServedModel) -> None:
        self.model = model

    @property
    def llm(self) -> AsyncLLM:
        return self.model.llm

    @property
    def name(self) -> str:
        """The model's name in responses."""
        return self.model.name

    def release(self) -> None:
        """Ends the lease."""


class ModelPool:
    """All models of a server; the first is the default one."""

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self._models = list(models)

    @property
    def default(self) -> ServedModel:
        return self._models[0]

    def list(self) -> list[ServedModel]:
        """In the order of the command line."""
        return list(self._models)

    def find(self, name: str | None) -> ServedModel:
        """The model of that name, the default one for no name. Raises ApiError 404."""
        if not name:
            return self.default
        for model in self._models:
            if name in model.names:
                return model
        raise ApiError(404, f"The model `{name}` does not exist.", param="model")

    async def lease(self, name: str | None) -> Lease:
        """Loads the model if it must and keeps it loaded. Raises ApiError 404, or 503 while it cannot serve.

        A degraded engine takes requests and answers them when it is back.
        """
        model = self.find(name)
        if model.llm.status == "starting":
            raise unavailable("The model is still loading; try again in a moment.")
        if model.llm.status == "dead":
            raise unavailable(f"The engine has stopped: {model.llm.status_reason or 'see the log'}.")
        return Lease(model)
