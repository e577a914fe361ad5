"""A connection in use: its provider, what it was last known to offer, and how it is."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from pagoda.workspace.providers.base import ProviderError, ProviderModel
from pagoda.workspace.providers.openai import OpenAIProvider
from pagoda.workspace.storage.values import now_ms

FRESH_SECONDS = 60.0  #: a list of models is asked for again after that
RETRY_SECONDS = 15.0  #: ... and after a failure

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """A connection as it is set up. owner_id: None for the house's. allowed_models: as the server names them,
    None for all. locked_by: the variable that it is from.
    """

    id: str
    name: str
    base_url: str
    owner_id: str | None = None
    prefix: str = ""
    allowed_models: tuple[str, ...] | None = None
    visibility: str = "everyone"
    enabled: bool = True
    position: int = 0
    has_key: bool = False
    locked_by: str | None = None


class LiveConnection:
    """state: "unknown" until it was asked once, "ready" or "error". A list that was known stays when the
    server is away, so that nobody's choice vanishes. problem: why it cannot be called at all.
    """

    def __init__(
        self,
        info: ConnectionInfo,
        provider: OpenAIProvider,
        key: str | None = None,
        problem: str | None = None,
    ) -> None:
        self.info = info
        self.provider = provider
        self.key = key
        self.state = "unknown" if problem is None else "error"
        self.error = problem
        self._problem = problem
        self.refreshed_at: int | None = None
        self.seconds: float | None = None
        self._listed: list[ProviderModel] = []
        self._due = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    def models(self) -> list[tuple[str, ProviderModel]]:
        """(the house's name, the server's model), of those that are allowed."""
        allowed = self.info.allowed_models
        listed = self._listed
        if allowed is not None:
            known = {model.id: model for model in listed}
            listed = [known.get(name, ProviderModel(name, name)) for name in allowed]
        prefix = f"{self.info.prefix}." if self.info.prefix else ""
        return [(prefix + model.id, model) for model in listed]

    def refresh_if_due(self) -> None:
        """Asks again in the background; nobody waits."""
        if time.monotonic() >= self._due and self.info.enabled:
            self.refresh()

    def refresh(self) -> asyncio.Task[None]:
        """Asks now; one call at a time."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh(), name=f"models of {self.info.name}")
        return self._refreshing

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await self.provider.close()

    def shown(self) -> dict[str, object]:
        """How it is."""
        return {
            "state": self.state if self.info.enabled else "disabled",
            "error": self.error,
            "models": len(self.models()),
            "seconds": self.seconds,
            "refreshed_at": self.refreshed_at,
        }

    async def _refresh(self) -> None:
        began = time.monotonic()
        try:
            if self._problem is not None:
                raise ProviderError(self._problem, 500, "failed")
            self._listed = await self.provider.list_models()
        except ProviderError as error:
            if self.error != str(error):
                _log.warning("connection %s: %s", self.info.name, error)
            self.state, self.error = "error", str(error)
        except Exception as error:
            _log.exception("connection %s", self.info.name)
            self.state, self.error = "error", f"The server failed on this connection: {error}"
        else:
            self.state, self.error = "ready", None
            self.seconds = time.monotonic() - began
        self.refreshed_at = now_ms()
        self._due = time.monotonic() + (FRESH_SECONDS if self.state == "ready" else RETRY_SECONDS)
