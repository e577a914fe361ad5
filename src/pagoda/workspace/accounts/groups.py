"""Groups of users. What a group permits adds to what everybody may."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.accounts.audit import record
from pagoda.workspace.accounts.principal import DEFAULT_PERMISSIONS, Principal
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Grant, Group, GroupMember, User


class Groups:
    """Each change is recorded with it."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def everything(self) -> list[dict[str, Any]]:
        """All, by name, with how many members each has."""
        members = select(func.count()).where(GroupMember.group_id == Group.id).scalar_subquery()
        query = select(Group, members).order_by(func.lower(Group.name))
        async with self._db.read() as session:
            return [shown(group, count) for group, count in await session.execute(query)]

    async def create(self, by: Principal, values: Mapping[str, Any], address: str) -> dict[str, Any]:
        """name, description, permissions. Raises WorkspaceError."""
        group = Group(**_checked(values))
        async with _unique_name(self._db) as session:
            session.add(group)
            await session.flush()
            target, detail = ("group", group.id), dict(values)
            record(session, by, "group.create", target=target, detail=detail, address=address)
        return shown(group, 0)

    async def change(self, by: Principal, group_id: str, values: Mapping[str, Any], address: str) -> None:
        async with _unique_name(self._db) as session:
            group = await _find(session, group_id)
            for key, value in _checked(values).items():
                setattr(group, key, value)
            target, detail = ("group", group_id), dict(values)
            record(session, by, "group.change", target=target, detail=detail, address=address)

    async def delete(self, by: Principal, group_id: str, address: str) -> None:
        """With what it was granted."""
        async with self._db.write() as session:
            group = await _find(session, group_id)
            await session.execute(
                delete(Grant).where(Grant.principal_type == "group", Grant.principal_id == group_id)
            )
            await session.delete(group)
            target, detail = ("group", group_id), {"name": group.name}
            record(session, by, "group.delete", target=target, detail=detail, address=address)

    async def members(self, group_id: str) -> list[str]:
        """Ids of users."""
        async with self._db.read() as session:
            await _find(session, group_id)
            query = select(GroupMember.user_id).where(GroupMember.group_id == group_id)
            return sorted(await session.scalars(query))

    async def add_member(self, by: Principal, group_id: str, user_id: str, address: str) -> None:
        """Without effect for somebody who is one. Raises WorkspaceError 404."""
        async with self._db.write() as session:
            await _find(session, group_id)
            if await session.get(User, user_id) is None:
                raise not_found("user")
            await session.merge(GroupMember(group_id=group_id, user_id=user_id))
            self._note(session, by, "group.add_member", group_id, user_id, address)

    async def remove_member(self, by: Principal, group_id: str, user_id: str, address: str) -> None:
        """Raises WorkspaceError 404 for somebody who is none."""
        async with self._db.write() as session:
            found = await session.get(GroupMember, (group_id, user_id))
            if found is None:
                raise not_found("member")
            await session.delete(found)
            self._note(session, by, "group.remove_member", group_id, user_id, address)

    def _note(
        self, session: AsyncSession, by: Principal, action: str, group_id: str, user_id: str, address: str
    ) -> None:
        record(session, by, action, target=("group", group_id), detail={"user_id": user_id}, address=address)


def shown(group: Group, members: int) -> dict[str, Any]:
    """A group as administrators see it."""
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "permissions": {name: bool(group.permissions.get(name)) for name in DEFAULT_PERMISSIONS},
        "members": members,
        "created_at": group.created_at,
    }


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(values)
    if "name" in found:
        found["name"] = " ".join(found["name"].split())
        if not 1 <= len(found["name"]) <= 100:
            raise WorkspaceError(400, "A name has 1 to 100 characters.", param="name")
    if "permissions" in found:
        if unknown := sorted(set(found["permissions"]) - set(DEFAULT_PERMISSIONS)):
            raise WorkspaceError(400, f"There is no permission {unknown[0]!r}.", param="permissions")
        found["permissions"] = {name: True for name, given in found["permissions"].items() if given}
    return found


async def _find(session: AsyncSession, group_id: str) -> Group:
    group = await session.get(Group, group_id)
    if group is None:
        raise not_found("group")
    return group


@asynccontextmanager
async def _unique_name(database: Database) -> AsyncIterator[AsyncSession]:
    try:
        async with database.write() as session:
            yield session
    except IntegrityError as error:
        raise WorkspaceError(409, "Another group has this name.", kind="conflict", param="name") from error
