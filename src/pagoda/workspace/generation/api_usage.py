"""Requests of programs with a personal key: which models they may use, and the record of what they used."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.generation.usage import count
from pagoda.workspace.providers.base import ProviderError
from pagoda.workspace.providers.registry import Providers
from pagoda.workspace.storage.database import Database

Timing = Mapping[str, float | None]
Record = Callable[[str, str, Mapping[str, Any], Timing], None]

_log = logging.getLogger(__name__)


class ApiGuests:
    """by_key: whose personal key it is."""

    def __init__(
        self, database: Database, providers: Providers, by_key: Callable[[str], Awaitable[Principal | None]]
    ) -> None:
        self._db = database
        self._providers = providers
        self._by_key = by_key
        self._writing: set[asyncio.Task[None]] = set()

    async def find(self, key: str) -> ApiGuest | None:
        """None for a key that is nobody's."""
        principal = await self._by_key(key)
        return None if principal is None else ApiGuest(principal, self._providers, self._record)

    async def stop(self) -> None:
        """Waits until everything is written down."""
        await asyncio.gather(*self._writing)

    def _record(self, user_id: str, model: str, usage: Mapping[str, Any], timing: Timing) -> None:
        task = asyncio.create_task(self._write(user_id, model, usage, timing), name="usage of a key")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, user_id: str, model: str, usage: Mapping[str, Any], timing: Timing) -> None:
        try:
            await count(
                self._db,
                user_id=user_id,
                model=model,
                source="api",
                chat_id=None,
                usage=usage,
                timing=timing,
            )
        except Exception:
            _log.exception("the usage of a request could not be written down")


class ApiGuest:
    """The owner of a personal key, for one request."""

    def __init__(self, principal: Principal, providers: Providers, record: Record) -> None:
        self._principal = principal
        self._providers = providers
        self._record = record

    async def check(self, model: str) -> None:
        """Raises ProviderError for a model that they do not see. Models that no page shows, such as those for
        embeddings, are for everybody.
        """
        try:
            await self._providers.check(self._principal, model)
        except WorkspaceError as error:
            if all(entry.id != model for entry, _ in await self._providers.everything()):
                return
            raise ProviderError(f"The model `{model}` does not exist.", 404, "refused") from error

    def used(self, model: str, usage: Mapping[str, Any], timing: Timing) -> None:
        """Counts a request that has ended; OpenAI's usage, and seconds by `time_to_first_token` and
        `generation_time`.
        """
        parts = [timing.get(name) for name in ("time_to_first_token", "generation_time")]
        seconds = [part for part in parts if part is not None]
        told = {"time_to_first_token": parts[0], "seconds": sum(seconds) if seconds else None}
        self._record(self._principal.id, model, usage, told)
