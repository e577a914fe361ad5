"""What the routes of one server share."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request

from pagoda.api.constraint_checks import ConstraintChecks
from pagoda.api.errors import unavailable
from pagoda.api.metrics import ServerMetrics
from pagoda.api.model_pool import Lease, ModelPool
from pagoda.api.settings import ServerSettings

if TYPE_CHECKING:
    from pagoda.api.hooks import RequestHooks

_log = logging.getLogger(__name__)


@dataclass
class ServerState:
    """One server's models, settings, metrics, and whether it is shutting down.

    load: requests for models' answers that are being worked on. closed: no new ones are taken. told: lines
    that the log has once. hooks: what takes part in chats, where there is something.
    checks: see whether constraints can be compiled.
    """

    models: ModelPool
    settings: ServerSettings
    metrics: ServerMetrics
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    created: int = field(default_factory=lambda: int(time.time()))
    load: int = 0
    closed: bool = False
    hooks: RequestHooks | None = None
    told: set[str] = field(default_factory=set)
    checks: ConstraintChecks = field(default_factory=ConstraintChecks)

    def tell_once(self, line: str) -> None:
        """Writes a warning to the log, the first time."""
        if line not in self.told:
            self.told.add(line)
            _log.warning(line)

    def drain(self) -> None:
        """From now on nothing new begins, nobody waits for a model and what runs is cut: the server ends."""
        self.closed = True
        self.draining.set()
        self.models.close()
        self.checks.close()

    def check_serving(self) -> None:
        """Raises ApiError 503 while the server ends."""
        if self.closed:
            raise unavailable("The server is shutting down.")

    async def lease(self, model: str | None) -> Lease:
        """The model that a request names, loaded. Raises ApiError 404 for one that is not served, 503 while
        it cannot be used.
        """
        self.check_serving()
        return await self.models.lease(model)


def state_of(request: Request) -> ServerState:
    """The state of the server that got this request."""
    state: ServerState = request.app.state.server
    return state
