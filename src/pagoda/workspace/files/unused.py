"""Files that nothing speaks of any more: what was uploaded and never sent, or sent in a chat that is gone.

A file is its owner's alone, and copies of chats have none, so the owner's own messages tell.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from sqlalchemy import String, cast, select
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.files.service import Files
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat, File, Message
from pagoda.workspace.storage.values import now_ms

KEEP_SECONDS = 86_400  #: since a file was uploaded; it may be part of a draft, or of a temporary chat
_FILE_ID = re.compile(r'"file_id":\s*"([\w-]+)"', re.ASCII)
_ROWS = 500  #: at a time


class UnusedFiles:
    """Finds and removes them."""

    def __init__(self, database: Database, files: Files) -> None:
        self._db = database
        self._files = files

    async def of_chat(self, user_id: str, chat_id: str) -> set[str]:
        """What a chat speaks of, to be asked before it is deleted."""
        async with self._db.read() as session:
            return await _spoken_of(session, user_id, chat_id)

    async def remove(self, user_id: str, file_ids: Collection[str]) -> int:
        """Those of a user's files that no message of theirs speaks of; returns how many."""
        if not file_ids:
            return 0
        async with self._db.read() as session:
            used = await _spoken_of(session, user_id)
        mine = await self._files.attached(user_id, set(file_ids) - used)
        await self._files.remove(mine)
        return len(mine)

    async def sweep(self) -> int:
        """All that are old enough, of everybody, and bytes that no row tells of; returns how many."""
        before = now_ms() - KEEP_SECONDS * 1000
        old: dict[str, set[str]] = {}
        async with self._db.read() as session:
            for file_id, user_id in await session.execute(
                select(File.id, File.user_id).where(File.created_at < before)
            ):
                old.setdefault(user_id, set()).add(file_id)
        count = 0
        for user_id, file_ids in old.items():
            count += await self.remove(user_id, file_ids)
        return count + await self._sweep_folder()

    async def _sweep_folder(self) -> int:
        """A server that was killed, or a deletion that was, leaves bytes without a row."""
        names = await asyncio.to_thread(lambda: list(_old_names(self._files.folder)))
        if not names:
            return 0
        async with self._db.read() as session:
            known = set(await session.scalars(select(File.id)))
        doomed = [name for name in names if name not in known]
        await self._files.remove(doomed)
        return len(doomed)


async def _spoken_of(session: AsyncSession, user_id: str, chat_id: str | None = None) -> set[str]:
    parts = cast(Message.parts, String)
    query = select(parts).join(Chat).where(Chat.user_id == user_id, parts.like('%"file_id"%'))
    if chat_id is not None:
        query = query.where(Chat.id == chat_id)
    found: set[str] = set()
    async for rows in (await session.stream_scalars(query)).partitions(_ROWS):
        for text in rows:
            found.update(_FILE_ID.findall(text))
    return found


def _old_names(folder: Path) -> Iterator[str]:
    latest = time.time() - KEEP_SECONDS
    if folder.is_dir():
        for entry in folder.iterdir():
            if entry.is_file() and entry.stat().st_mtime < latest:
                yield entry.name
