"""Folders of chats: a tree for each user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat, Folder

LONGEST_NAME = 100
DEEPEST = 8
MOST_FOLDERS = 1000  #: of one user
_CHANGEABLE = ("name", "parent_id", "position", "meta")


class Folders:
    """Reads and writes a user's folders. What is somebody else's is not found."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def tree(self, user_id: str) -> list[tuple[Folder, int]]:
        """All of them, each with how many chats lie right in it, archived ones aside."""
        async with self._db.read() as session:
            folders = await session.scalars(
                select(Folder).where(Folder.user_id == user_id).order_by(Folder.position, Folder.name)
            )
            counted = select(Chat.folder_id, func.count()).where(
                Chat.user_id == user_id, Chat.folder_id.is_not(None), Chat.archived.is_(False)
            )
            rows = (await session.execute(counted.group_by(Chat.folder_id))).all()
            counts = {row[0]: row[1] for row in rows}
            return [(folder, counts.get(folder.id, 0)) for folder in folders]

    async def create(self, user_id: str, values: Mapping[str, Any]) -> Folder:
        """Raises WorkspaceError."""
        folder = Folder(user_id=user_id, name="", meta={})
        async with self._db.write() as session:
            await _set(session, folder, values)
            if not folder.name:
                raise WorkspaceError(400, "A folder needs a name.", param="name")
            session.add(folder)
        return folder

    async def change(self, user_id: str, folder_id: str, values: Mapping[str, Any]) -> Folder:
        """Raises WorkspaceError."""
        async with self._db.write() as session:
            folder = await own_folder(session, user_id, folder_id)
            await _set(session, folder, values)
        return folder

    async def delete(self, user_id: str, folder_id: str) -> None:
        """Its chats and folders move up to where it was. Raises WorkspaceError 404."""
        async with self._db.write() as session:
            folder = await own_folder(session, user_id, folder_id)
            up = folder.parent_id
            await session.execute(update(Chat).where(Chat.folder_id == folder_id).values(folder_id=up))
            await session.execute(update(Folder).where(Folder.parent_id == folder_id).values(parent_id=up))
            await session.delete(folder)


async def own_folder(session: AsyncSession, user_id: str, folder_id: str) -> Folder:
    """Raises WorkspaceError 404, for what is somebody else's too."""
    folder = await session.get(Folder, folder_id)
    if folder is None or folder.user_id != user_id:
        raise not_found("folder")
    return folder


async def _set(session: AsyncSession, folder: Folder, values: Mapping[str, Any]) -> None:
    for name in _CHANGEABLE:
        if name in values:
            setattr(folder, name, values[name])
    if "name" in values:
        folder.name = " ".join(str(values["name"]).split())[:LONGEST_NAME]
        if not folder.name:
            raise WorkspaceError(400, "A folder needs a name.", param="name")
    if folder.parent_id is None and folder.id is not None:
        return
    with session.no_autoflush:
        rows = await session.execute(
            select(Folder.id, Folder.parent_id).where(Folder.user_id == folder.user_id)
        )
        parents: dict[str, str | None] = {row.id: row.parent_id for row in rows}
    if folder.id is None and len(parents) >= MOST_FOLDERS:
        raise WorkspaceError(
            400,
            f"There are {MOST_FOLDERS} folders already.",
            code="most_folders",
            values={"count": MOST_FOLDERS},
        )
    if folder.parent_id is not None and folder.parent_id not in parents:
        raise not_found("folder")
    _check_tree(parents, folder)


def _check_tree(parents: Mapping[str, str | None], folder: Folder) -> None:
    """No folder inside itself, and no tree deeper than DEEPEST. Raises WorkspaceError 400."""
    above, depth = folder.parent_id, 1
    while above is not None:
        if above == folder.id:
            raise WorkspaceError(
                400, "A folder cannot lie inside itself.", param="parent_id", code="folder_in_itself"
            )
        above, depth = parents.get(above), depth + 1
    below, level = 0, {folder.id} if folder.id is not None else set()
    while level := {child for child, parent in parents.items() if parent in level}:
        below += 1
    if depth + below > DEEPEST:
        raise WorkspaceError(
            400,
            f"Folders lie at most {DEEPEST} deep.",
            param="parent_id",
            code="folders_deep",
            values={"count": DEEPEST},
        )
