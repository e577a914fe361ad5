"""What the routes of one server share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fastapi import Request

from pagoda.api.errors import ApiError, unavailable
from pagoda.api.metrics import ServerMetrics
from pagoda.api.sampling import model_defaults
from pagoda.api.settings import ServerSettings
from pagoda.engine.async_llm import AsyncLLM


@dataclass
class ServerState:
    """One server's engine, settings, metrics, and whether it is shutting down."""

    llm: AsyncLLM
    settings: ServerSettings
    metrics: ServerMetrics
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def model_name(self) -> str:
        """The name in responses."""
        return self.settings.served_model_names[0]

    @cached_property
    def sampling_defaults(self) -> Mapping[str, Any]:
        """Sampling where a request says nothing; needs a ready engine."""
        return model_defaults(self.llm.generation_config, self.settings.default_sampling)

    def check_model(self, name: str | None) -> None:
        """Raises ApiError 404 for a model that is not served; no name means the one there is."""
        if name and name not in self.settings.served_model_names:
            raise ApiError(404, f"The model `{name}` does not exist.", param="model")

    def check_ready(self) -> None:
        """Raises ApiError 503 while requests cannot be taken. A degraded engine takes them and answers when
        it is back.
        """
        if self.draining.is_set():
            raise unavailable("The server is shutting down.")
        if self.llm.status == "starting":
            raise unavailable("The model is still loading; try again in a moment.")
        if self.llm.status == "dead":
            raise unavailable(f"The engine has stopped: {self.llm.status_reason or 'see the log'}.")


def state_of(request: Request) -> ServerState:
    """The state of the server that got this request."""
    state: ServerState = request.app.state.server
    return state
