"""Files of users: rows in the database, bytes in the data folder."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import select

from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.files.receive import Received
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
_EXTRACTOR = "pagoda.workspace.files.extract"


class Files:
    """Takes files in, reads their text in another process, gives them back to their owner."""

    def __init__(self, database: Database, data_dir: Path, limit: int = LIMIT_BYTES) -> None:
        """limit: bytes of one file."""
        self.limit = limit
        self._db = database
        self._folder = data_dir / FOLDER
        self._workers = Workers(READING_SECONDS, _READING_MEMORY, asyncio.Semaphore(_READERS))

    async def add(self, user_id: str, upload: Received) -> File:
        """Raises WorkspaceError 400, with nothing kept, for a file that cannot be read."""
        file_id = new_id()
        path = self.path(file_id)
        try:
            size, digest = await asyncio.to_thread(_keep, upload.file, path)
            if not size:
                raise WorkspaceError(400, "This file is empty.", param="file", code="file_empty")
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
            async with self._db.write() as session:
                session.add(file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return file

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
        file = await self.get(user_id, file_id)
        async with self._db.write() as session:
            await session.delete(file)
        await asyncio.to_thread(self.path(file_id).unlink, missing_ok=True)

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
        return self._folder / file_id


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
