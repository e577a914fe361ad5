"""Writes answers down while they grow: all of them in one transaction a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from sqlalchemy import bindparam, update

from pagoda.workspace.chats.words import text_of
from pagoda.workspace.generation.run import Run
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Message

SAVE_SECONDS = 1.0  #: so much text is lost at most when the server is killed

_log = logging.getLogger(__name__)
_SAVE = (
    update(Message.__table__)  # type: ignore[arg-type]
    .where(Message.__table__.c.id == bindparam("message"))
    .values(parts=bindparam("new_parts"), text=bindparam("new_text"))
)


class Saver:
    """Looks after answers between `add` and `remove`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._sizes: dict[Run, int] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, run: Run) -> None:
        self._sizes[run] = 0
        if self._task is None:
            self._task = asyncio.create_task(self._save_each_second(), name="saving answers")

    def remove(self, run: Run) -> None:
        """Its end is written by whoever removes it."""
        self._sizes.pop(run, None)

    async def _save_each_second(self) -> None:
        """Ends when nothing grows any more; the next answer begins it again."""
        try:
            while self._sizes:
                await asyncio.sleep(SAVE_SECONDS)
                grown = [run for run, size in self._sizes.items() if _size(run) != size]
                if grown:
                    await self._save(grown)
        finally:
            self._task = None

    async def _save(self, runs: Sequence[Run]) -> None:
        rows = []
        for run in runs:
            self._sizes[run] = _size(run)
            parts = [dict(part) for part in run.builder.parts]
            rows.append({"message": run.message.id, "new_parts": parts, "new_text": text_of(parts)})
        try:
            async with self._db.write() as session:
                # What has ended while this waited for its turn is written already, and stays.
                rows = [row for row, run in zip(rows, runs, strict=True) if run in self._sizes]
                if rows:
                    await (await session.connection()).execute(_SAVE, rows)
        except Exception:
            _log.exception("answers in the making could not be written down")


def _size(run: Run) -> int:
    return sum(len(part.get("text") or part.get("arguments") or "") + 1 for part in run.builder.parts)
