"""What is put in order while the server runs: old records of what administrators did, and unused files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from sqlalchemy import delete

from pagoda.workspace.files.unused import UnusedFiles
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import AuditEvent, Session
from pagoda.workspace.storage.values import now_ms

FIRST_SECONDS = 120.0  #: after the start, which has enough to do
EVERY_SECONDS = 6 * 3600.0
_DAY_MS = 86_400_000
_log = logging.getLogger(__name__)


class Housekeeping:
    """Between `start` and `stop`; `once` is all that there is to do. Records of usage stay."""

    def __init__(
        self, database: Database, unused: UnusedFiles, settings: Callable[[], WorkspaceSettings]
    ) -> None:
        self._db = database
        self._unused = unused
        self._settings = settings
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._again_and_again(), name="housekeeping")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def once(self) -> None:
        now = now_ms()
        async with self._db.write() as session:
            kept_since = now - self._settings().audit_days * _DAY_MS
            await session.execute(delete(AuditEvent).where(AuditEvent.created_at < kept_since))
            await session.execute(delete(Session).where(Session.expires_at < now))
        if count := await self._unused.sweep():
            _log.info("%d files that nothing speaks of were removed", count)

    async def _again_and_again(self) -> None:
        pause = FIRST_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = EVERY_SECONDS
            try:
                await self.once()
            except Exception:
                _log.exception("putting things in order failed; it is tried again later")
