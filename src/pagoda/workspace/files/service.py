"""Files of users: rows in the database, bytes in the data folder."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.files.receive import Received, clean_name
from pagoda.workspace.files.worker import Workers
from pagoda.workspace.providers.base import Provider, TokenCounter
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import File
from pagoda.workspace.storage.values import new_id

FOLDER = "files"
LIMIT_BYTES = 50_000_000
READING_SECONDS = 60.0
_READING_MEMORY = 1 << 30
_READERS = 2  #: processes at once
_AT_ONCE = 500  #: ids in one query
_EXTRACTOR = "pagoda.workspace.files.extract"


class Files:
    """Takes files in, reads their text in another process, gives them back to their owner."""

    def __init__(
        self,
        database: Database,
        data_dir: Path,
        limit: int = LIMIT_BYTES,
        room: Callable[[], int] = lambda: 0,
    ) -> None:
        """limit: bytes of one file. room: bytes of all files of one user, 0 for no limit."""
        self.limit = limit
        self._room = room
        self._db = database
        self.folder = data_dir / FOLDER
        self._workers = Workers(READING_SECONDS, _READING_MEMORY, asyncio.Semaphore(_READERS))

    async def add(self, user_id: str, upload: Received) -> File:
        """Raises WorkspaceError 400, with nothing kept, for a file that cannot be read."""
        file_id = new_id()
        path = self.path(file_id)
        try:
            size, digest = await asyncio.to_thread(_keep, upload.file, path)
            if not size:
                raise WorkspaceError(400, "This file is empty.", param="file", code="file_empty")
            await self.check_room(user_id, size)
            found = await self._workers.run(_EXTRACTOR, [str(path), upload.name], "file")
            file = File(
                id=file_id,
                user_id=user_id,
                name=upload.name,
                media_type=found["media_type"],
                size=size,
                sha256=digest,
                text=found["text"],
                tokens={},
                meta={},
            )
            await self._add(file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return file

    async def add_read(self, user_id: str, place: Path, about: Mapping[str, Any]) -> File:
        """Moves a file here that was read before. about: name, media_type, size, sha256, text."""
        fields = {name: about[name] for name in ("media_type", "size", "sha256", "text")}
        file = File(
            id=new_id(), user_id=user_id, name=clean_name(about["name"]), tokens={}, meta={}, **fields
        )
        path = self.path(file.id)
        await asyncio.to_thread(_move, place, path)
        try:
            await self._add(file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return file

    async def check_room(self, user_id: str, more: int) -> None:
        """Raises WorkspaceError 413 where so many bytes more are too many for this user."""
        async with self._db.read() as session:
            await self._check_room(session, user_id, more)

    async def remove(self, file_ids: Iterable[str]) -> None:
        """Whoever's they are."""
        doomed = list(file_ids)
        async with self._db.write() as session:
            for start in range(0, len(doomed), _AT_ONCE):
                await session.execute(delete(File).where(File.id.in_(doomed[start : start + _AT_ONCE])))
        await asyncio.to_thread(self._unlink, doomed)

    async def _add(self, file: File) -> None:
        async with self._db.write() as session:
            await self._db.take_turns(session, f"files of {file.user_id}")
            await self._check_room(session, file.user_id, file.size)
            session.add(file)

    async def _check_room(self, session: AsyncSession, user_id: str, more: int) -> None:
        room = self._room()
        if not room:
            return
        taken = await session.scalar(select(func.sum(File.size)).where(File.user_id == user_id)) or 0
        if taken + more > room:
            size, most = _megabytes(taken + more), _megabytes(room)
            raise WorkspaceError(
                413,
                f"Your files would take {size} MB; {most} MB are allowed. Delete some first.",
                kind="storage_full",
                param="file",
                code="storage_full",
                values={"size": size, "most": most},
            )

    def _unlink(self, file_ids: Iterable[str]) -> None:
        for file_id in file_ids:
            self.path(file_id).unlink(missing_ok=True)

    async def get(self, user_id: str, file_id: str) -> File:
        """Raises WorkspaceError 404, for what is somebody else's too."""
        async with self._db.read() as session:
            file = await session.get(File, file_id)
        if file is None or file.user_id != user_id:
            raise not_found("file")
        return file

    async def attached(self, user_id: str, file_ids: Iterable[str]) -> dict[str, File]:
        """Those of the files that are there and the user's."""
        wanted = list(set(file_ids))
        async with self._db.read() as session:
            rows = await session.scalars(select(File).where(File.user_id == user_id, File.id.in_(wanted)))
            return {row.id: row for row in rows}

    async def delete(self, user_id: str, file_id: str) -> None:
        """Raises WorkspaceError 404."""
        await self.get(user_id, file_id)
        await self.remove([file_id])

    async def count(self, file: File, model: str, provider: Provider, name: str) -> int | None:
        """Tokens of a file's text for a model, which `provider` calls `name`; None where it cannot tell."""
        if file.text is None or not isinstance(provider, TokenCounter):
            return None
        if (known := file.tokens.get(model)) is not None:
            return int(known)
        count = await provider.count_tokens(file.text, name)
        if count is not None:
            async with self._db.write() as session:
                row = await session.get(File, file.id)
                if row is not None:
                    row.tokens = {**row.tokens, model: count}
        return count

    async def data_url(self, file: File) -> str:
        """A picture as requests to models hold it."""
        data = await asyncio.to_thread(self.path(file.id).read_bytes)
        return f"data:{file.media_type};base64,{base64.b64encode(data).decode()}"

    def path(self, file_id: str) -> Path:
        """Where a file's bytes lie; the id is one of the database's, never a user's text."""
        return self.folder / file_id


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f}".removesuffix(".0")


def _move(place: Path, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.chmod(0o600)
    place.replace(path)


def _keep(source: BinaryIO, path: Path) -> tuple[int, str]:
    """Copies to `path`, readable for the owner alone; returns size and SHA-256."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        while piece := source.read(1 << 20):
            digest.update(piece)
            size += len(piece)
            target.write(piece)
    return size, digest.hexdigest()
