"""Invitations: a link makes one account, for a while, for anybody or for one address."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy import select, update

from pagoda.workspace.accounts.audit import record
from pagoda.workspace.accounts.passwords import Passwords
from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.accounts.service import checked, checked_email, digest, unique_email
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Invitation, User
from pagoda.workspace.storage.values import now_ms

ROLES = ("admin", "user")
_HOUR_MS = 3_600_000


class Invitations:
    """Tokens are told once and kept as digests."""

    def __init__(
        self, database: Database, passwords: Passwords, settings: Callable[[], WorkspaceSettings]
    ) -> None:
        self._db = database
        self._passwords = passwords
        self._settings = settings

    async def create(
        self, by: Principal, email: str | None, role: str, hours: int, address: str
    ) -> dict[str, Any]:
        """With `token`, which is not kept, and the path of the page that takes it. Raises WorkspaceError."""
        if not self._settings().invitations:
            raise WorkspaceError(403, "Invitations are switched off in the settings.", kind="permission")
        if role not in ROLES:
            raise WorkspaceError(400, f"A role is one of {', '.join(ROLES)}.", param="role")
        token = secrets.token_urlsafe(24)
        row = Invitation(
            token_hash=digest(token),
            email=checked_email(email) if email else None,
            role=role,
            created_by=by.id,
            expires_at=now_ms() + hours * _HOUR_MS,
        )
        async with self._db.write() as session:
            session.add(row)
            await session.flush()
            detail = {"email": row.email, "role": role}
            target = ("invitation", row.id)
            record(session, by, "invitation.create", target=target, detail=detail, address=address)
        return {**shown(row), "token": token, "path": f"signup?invitation={token}"}

    async def everything(self) -> list[dict[str, Any]]:
        """The newest first."""
        query = select(Invitation).order_by(Invitation.created_at.desc(), Invitation.id)
        async with self._db.read() as session:
            return [shown(row) for row in await session.scalars(query)]

    async def delete(self, by: Principal, invitation_id: str, address: str) -> None:
        async with self._db.write() as session:
            row = await session.get(Invitation, invitation_id)
            if row is None:
                raise not_found("invitation")
            await session.delete(row)
            record(session, by, "invitation.delete", target=("invitation", row.id), address=address)

    async def look(self, token: str) -> dict[str, Any]:
        """What the page of somebody with a link shows. Raises WorkspaceError 404 for one that is no good."""
        async with self._db.read() as session:
            row = await session.scalar(self._good(token))
        if row is None:
            raise _no_good()
        return {"email": row.email, "expires_at": row.expires_at}

    async def accept(self, token: str, name: str, email: str, password: str, address: str) -> str:
        """Makes the account; returns its id. Raises WorkspaceError."""
        name, email = checked(name, email, password)
        hashed = await self._passwords.hash(password)
        async with unique_email(self._db) as session:
            row = await session.scalar(self._good(token))
            if row is None:
                raise _no_good()
            if row.email not in (None, email):
                raise WorkspaceError(
                    403,
                    "This invitation is for another e-mail address.",
                    kind="permission",
                    param="email",
                    code="invitation_email",
                )
            user = User(name=name, email=email, password_hash=hashed, role=row.role)
            session.add(user)
            await session.flush()
            # The condition in the same statement: of two who come at once, one finds it used.
            used = await session.scalars(
                update(Invitation)
                .where(Invitation.id == row.id, Invitation.used_at.is_(None))
                .values(used_at=now_ms(), used_by=user.id)
                .returning(Invitation.id)
                .execution_options(synchronize_session=False)
            )
            if used.first() is None:
                raise _no_good()
            detail = {"invitation_id": row.id}
            record(session, user.id, "sign_up", target=("user", user.id), detail=detail, address=address)
        return user.id

    def _good(self, token: str) -> Any:
        return select(Invitation).where(
            Invitation.token_hash == digest(token),
            Invitation.used_at.is_(None),
            Invitation.expires_at > (now_ms() if self._settings().invitations else 1 << 62),
        )


def shown(row: Invitation) -> dict[str, Any]:
    """An invitation as administrators see it."""
    return {
        "id": row.id,
        "email": row.email,
        "role": row.role,
        "created_at": row.created_at,
        "created_by": row.created_by,
        "expires_at": row.expires_at,
        "used_at": row.used_at,
        "used_by": row.used_by,
    }


def _no_good() -> WorkspaceError:
    return WorkspaceError(
        404, "This invitation has been used, has run out or was taken back.", kind="not_found"
    )
