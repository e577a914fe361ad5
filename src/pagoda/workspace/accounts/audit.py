"""The record of what administrators do, and of who comes and goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import AuditEvent, User

PAGE = 50


def record(
    session: AsyncSession,
    by: Principal | str | None,
    action: str,
    *,
    target: tuple[str, str] = ("", ""),
    detail: Mapping[str, Any] | None = None,
    address: str = "",
) -> None:
    """Adds a line within the transaction of what it tells about, so that neither is kept alone.

    by: who, or the id; None for the command line. action: such as "user.create". target: its type and id.
    detail: never a secret.
    """
    session.add(
        AuditEvent(
            user_id=by.id if isinstance(by, Principal) else by,
            action=action,
            target_type=target[0],
            target_id=target[1],
            detail=dict(detail or {}),
            address=address,
        )
    )


async def audit_page(
    database: Database,
    *,
    action: str | None = None,
    user_id: str | None = None,
    cursor: str | None = None,
    limit: int = PAGE,
) -> dict[str, Any]:
    """Events, the newest first, and where the next page begins. action: also the first part of one."""
    query = select(AuditEvent, User.name, User.email).outerjoin(User, User.id == AuditEvent.user_id)
    if action:
        query = query.where(or_(AuditEvent.action == action, AuditEvent.action.startswith(f"{action}.")))
    if user_id:
        query = query.where(AuditEvent.user_id == user_id)
    if cursor:
        at, event_id = _after(cursor)
        older = and_(AuditEvent.created_at == at, AuditEvent.id < event_id)
        query = query.where(or_(AuditEvent.created_at < at, older))
    query = query.order_by(AuditEvent.created_at.desc(), AuditEvent.id.desc()).limit(limit + 1)
    async with database.read() as session:
        rows = (await session.execute(query)).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return {
        "events": [
            {
                "id": event.id,
                "action": event.action,
                "user_id": event.user_id,
                "user_name": name,
                "user_email": email,
                "target_type": event.target_type,
                "target_id": event.target_id,
                "detail": event.detail,
                "address": event.address,
                "created_at": event.created_at,
            }
            for event, name, email in rows
        ],
        "next": f"{rows[-1][0].created_at}.{rows[-1][0].id}" if more else None,
    }


def _after(cursor: str) -> tuple[int, str]:
    at, _, event_id = cursor.partition(".")
    if not at.isdecimal() or len(at) > 15:
        raise WorkspaceError(400, "The cursor is not one of this list.", param="cursor")
    return int(at), event_id
