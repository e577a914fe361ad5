"""Grants: who may use what is not for everyone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.storage.tables import Grant

EVERYONE = "*"
_KINDS = ("user", "group", "everyone")


async def granted(session: AsyncSession, principal: Principal, kinds: Iterable[str]) -> set[tuple[str, str]]:
    """(resource_type, resource_id) of what a user may use, by name, by group, or as everybody."""
    mine = [
        Grant.principal_type == "everyone",
        and_(Grant.principal_type == "user", Grant.principal_id == principal.id),
    ]
    if principal.groups:
        mine.append(and_(Grant.principal_type == "group", Grant.principal_id.in_(principal.groups)))
    rows = await session.execute(
        select(Grant.resource_type, Grant.resource_id).where(Grant.resource_type.in_(list(kinds)), or_(*mine))
    )
    return {(kind, resource) for kind, resource in rows}


async def grants_of(session: AsyncSession, kind: str, resource_id: str) -> list[dict[str, str]]:
    """Who may use one thing: [{type, id}]."""
    rows = await session.scalars(
        select(Grant).where(Grant.resource_type == kind, Grant.resource_id == resource_id)
    )
    return [{"type": row.principal_type, "id": row.principal_id} for row in rows]


async def set_grants(
    session: AsyncSession, kind: str, resource_id: str, grants: Sequence[Mapping[str, Any]]
) -> None:
    """Replaces them. Raises WorkspaceError."""
    for each in grants:
        if each.get("type") not in _KINDS:
            raise WorkspaceError(400, f"A grant's type is one of {', '.join(_KINDS)}.", param="grants")
    await session.execute(delete(Grant).where(Grant.resource_type == kind, Grant.resource_id == resource_id))
    wanted = {
        (each["type"], EVERYONE if each["type"] == "everyone" else str(each.get("id", ""))) for each in grants
    }
    for principal_type, principal_id in sorted(wanted):
        session.add(
            Grant(
                resource_type=kind,
                resource_id=resource_id,
                principal_type=principal_type,
                principal_id=principal_id,
                permission="read",
            )
        )
