"""Archives that were uploaded to be restored, and wait for the word to do it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.storage.database import DatabaseError
from pagoda.workspace.storage.values import new_id

_RESERVE = 64 << 20  #: bytes of the disk that stay free
_PREFIX = ".restore-"


@dataclass(frozen=True, slots=True)
class StagedBackup:
    """preview: what is in it, for people."""

    id: str
    path: Path
    preview: dict[str, Any]


class StagedBackups:
    """One at a time, in the data folder: the next one takes its place."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._staged: StagedBackup | None = None

    def clear(self) -> None:
        """Removes what an earlier server has left, unfinished work as well."""
        for path in self._data_dir.glob(f"{_PREFIX}*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    async def take(self, pieces: AsyncIterable[bytes], announced: int | None) -> StagedBackup:
        """Writes an archive down and checks it. announced: its bytes, where they are known before. Raises
        WorkspaceError; then nothing is kept.
        """
        room = self._room()
        if announced is not None and announced > room:
            raise _too_large(room)
        name = new_id()
        path = self._data_dir / f"{_PREFIX}{name}.zip"
        size = 0
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                async for piece in pieces:
                    size += len(piece)
                    if size > room:
                        raise _too_large(room)
                    await asyncio.to_thread(file.write, piece)
            staged = StagedBackup(name, path, {"size": size, **await asyncio.to_thread(self._check, path)})
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, DatabaseError):
                raise WorkspaceError(400, f"{_sentence(error, path)}.", param="file") from error
            if isinstance(error, OSError):
                raise WorkspaceError(
                    507, f"The backup cannot be written down here: {error.strerror}.", kind="storage"
                ) from error
            raise
        self.discard()
        self._staged = staged
        return staged

    def find(self, staged_id: str) -> StagedBackup:
        """Raises WorkspaceError 404."""
        if self._staged is None or self._staged.id != staged_id:
            raise not_found("uploaded backup")
        return self._staged

    def claim(self, staged_id: str) -> StagedBackup:
        """Takes it out: whoever claims it removes it. Raises WorkspaceError 404."""
        staged = self.find(staged_id)
        self._staged = None
        return staged

    def discard(self) -> None:
        staged, self._staged = self._staged, None
        if staged is not None:
            staged.path.unlink(missing_ok=True)

    def _check(self, path: Path) -> dict[str, Any]:
        from pagoda.workspace.storage.backup import check_backup  # zipfile and friends, when they are needed

        manifest = check_backup(path, self._room())
        rows = manifest.get("rows") or {}
        return {
            "created_at": manifest.get("created_at"),
            "version": manifest.get("version"),
            "users": rows.get("user", 0),
            "chats": rows.get("chat", 0),
            "messages": rows.get("message", 0),
            "files": manifest.get("files", 0),
            "administrators": manifest["administrators"],
        }

    def _room(self) -> int:
        return shutil.disk_usage(self._data_dir).free - _RESERVE


def _too_large(room: int) -> WorkspaceError:
    return WorkspaceError(
        413,
        f"The backup is larger than the {max(0, room) / 1e9:.1f} GB that the disk has left.",
        param="file",
    )


def _sentence(error: DatabaseError, path: Path) -> str:
    """Without the name that the file has here."""
    text = str(error).replace(str(path), "the file")
    return text[:1].upper() + text[1:]
