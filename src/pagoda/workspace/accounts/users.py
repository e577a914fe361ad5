"""What administrators do about users. Each change is recorded with it; the last administrator stays one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.accounts.audit import record
from pagoda.workspace.accounts.passwords import Passwords
from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.accounts.service import (
    check_password,
    checked,
    checked_email,
    checked_name,
    unique_email,
)
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import File, Grant, GroupMember, Session, User

ROLES = ("admin", "user", "pending")
PAGE = 50
_WORD = "abcdefghijkmnpqrstuvwxyz23456789"  # without what looks alike
_WORDS, _LETTERS = 4, 5  # about 100 bits


class Users:
    """by: the administrator, or None for the command line."""

    def __init__(self, database: Database, passwords: Passwords, data_dir: Path) -> None:
        self._db = database
        self._passwords = passwords
        self._files = data_dir / "files"

    async def page(
        self,
        *,
        search: str = "",
        role: str | None = None,
        group_id: str | None = None,
        cursor: str | None = None,
        limit: int = PAGE,
    ) -> dict[str, Any]:
        """Users by name, how many match, and where the next page begins. search: in name or address."""
        wanted = []
        if search.strip():
            words = search.strip().lower()
            name, email = func.lower(User.name), func.lower(User.email)
            wanted.append(or_(name.contains(words, autoescape=True), email.contains(words, autoescape=True)))
        if role:
            wanted.append(User.role == role)
        if group_id:
            members = select(GroupMember.user_id).where(GroupMember.group_id == group_id)
            wanted.append(User.id.in_(members))
        order = func.lower(User.name)
        query = select(User).where(*wanted).order_by(order, User.id).limit(limit + 1)
        async with self._db.read() as session:
            total = await session.scalar(select(func.count()).select_from(User).where(*wanted))
            if cursor:
                last = await session.get(User, cursor)
                if last is None:
                    raise WorkspaceError(400, "The cursor is not one of this list.", param="cursor")
                at = func.lower(last.name)
                query = query.where(or_(order > at, and_(order == at, User.id > last.id)))
            found = list(await session.scalars(query))
            more, found = len(found) > limit, found[:limit]
            groups = await _groups(session, [user.id for user in found])
        return {
            "users": [shown(user, groups.get(user.id, [])) for user in found],
            "total": total,
            "next": found[-1].id if more else None,
        }

    async def get(self, user_id: str) -> dict[str, Any]:
        """Raises WorkspaceError 404."""
        async with self._db.read() as session:
            user = await _find(session, user_id)
            return shown(user, (await _groups(session, [user_id])).get(user_id, []))

    async def by_email(self, email: str) -> str:
        """The id. Raises WorkspaceError 404."""
        async with self._db.read() as session:
            found = await session.scalar(select(User.id).where(User.email == email.strip().lower()))
        if found is None:
            raise WorkspaceError(404, f"Nobody here has the e-mail address {email}.", kind="not_found")
        return found

    async def create(
        self,
        by: Principal | None,
        name: str,
        email: str,
        role: str = "user",
        password: str | None = None,
        address: str = "",
    ) -> tuple[str, str | None]:
        """The id, and a password that holds for one sign-in where none is given. Raises WorkspaceError."""
        chosen = one_time_password() if password is None else password
        name, email = checked(name, email, chosen)
        user = User(
            name=name,
            email=email,
            role=checked_role(role),
            password_hash=await self._passwords.hash(chosen),
            password_expired=password is None,
        )
        async with unique_email(self._db) as session:
            session.add(user)
            await session.flush()
            detail = {"email": email, "role": role}
            record(session, by, "user.create", target=("user", user.id), detail=detail, address=address)
        return user.id, chosen if password is None else None

    async def change(
        self, by: Principal | None, user_id: str, values: Mapping[str, Any], address: str = ""
    ) -> None:
        """name, email, role, active. Who may do less than before signs in again. Raises WorkspaceError."""
        checks: dict[str, Callable[[Any], Any]] = {
            "name": checked_name,
            "email": checked_email,
            "role": checked_role,
            "active": bool,
        }
        checked_values = {key: checks[key](value) for key, value in values.items()}
        async with unique_email(self._db) as session:
            await self._db.take_turns(session, "administrators")
            user = await _find(session, user_id)
            before = {key: getattr(user, key) for key in checked_values}
            for key, value in checked_values.items():
                setattr(user, key, value)
            await session.flush()
            await _check_administrator_left(session)
            if not user.active or (before.get("role") == "admin" and user.role != "admin"):
                await session.execute(delete(Session).where(Session.user_id == user_id))
            detail = {key: {"from": before[key], "to": value} for key, value in checked_values.items()}
            record(session, by, "user.change", target=("user", user_id), detail=detail, address=address)

    async def reset_password(
        self, by: Principal | None, user_id: str, password: str | None = None, address: str = ""
    ) -> str | None:
        """Signs the user out everywhere. Returns a password for one sign-in where none is given."""
        chosen = one_time_password() if password is None else password
        check_password(chosen)
        values = {
            "password_hash": await self._passwords.hash(chosen),
            "password_expired": password is None,
        }
        async with self._db.write() as session:
            await _find(session, user_id)
            await session.execute(update(User).where(User.id == user_id).values(values))
            await session.execute(delete(Session).where(Session.user_id == user_id))
            record(session, by, "user.password", target=("user", user_id), address=address)
        return chosen if password is None else None

    async def sign_out(self, by: Principal | None, user_id: str, address: str = "") -> int:
        """Everywhere; returns from how many browsers."""
        async with self._db.write() as session:
            await _find(session, user_id)
            gone = await session.scalars(
                delete(Session).where(Session.user_id == user_id).returning(Session.id)
            )
            record(session, by, "user.sign_out", target=("user", user_id), address=address)
            return len(gone.all())

    async def delete(self, by: Principal | None, user_id: str, address: str = "") -> None:
        """With chats, files, keys and all. Raises WorkspaceError 404, or 409 for the last administrator."""
        async with self._db.write() as session:
            await self._db.take_turns(session, "administrators")
            user = await _find(session, user_id)
            files = list(await session.scalars(select(File.id).where(File.user_id == user_id)))
            await session.execute(
                delete(Grant).where(Grant.principal_type == "user", Grant.principal_id == user_id)
            )
            await session.execute(delete(User).where(User.id == user_id))
            await _check_administrator_left(session)
            detail = {"email": user.email, "name": user.name}
            left = None if by is not None and by.id == user_id else by  # who deletes themselves is gone
            record(session, left, "user.delete", target=("user", user_id), detail=detail, address=address)
        for file_id in files:
            (self._files / file_id).unlink(missing_ok=True)


def shown(user: User, groups: list[str]) -> dict[str, Any]:
    """A user as administrators see one."""
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "active": user.active,
        "groups": groups,
        "password_expired": user.password_expired,
        "created_at": user.created_at,
        "last_active_at": user.last_active_at,
    }


def one_time_password() -> str:
    """Easy to read out: groups of letters and digits that do not look alike."""
    return "-".join("".join(secrets.choice(_WORD) for _ in range(_LETTERS)) for _ in range(_WORDS))


def checked_role(role: str) -> str:
    """Raises WorkspaceError 400."""
    if role not in ROLES:
        raise WorkspaceError(400, f"A role is one of {', '.join(ROLES)}.", param="role")
    return role


async def _find(session: AsyncSession, user_id: str) -> User:
    user = await session.get(User, user_id)
    if user is None:
        raise not_found("user")
    return user


async def _check_administrator_left(session: AsyncSession) -> None:
    """After the change and before it is kept."""
    left = select(User.id).where(User.role == "admin", User.active).limit(1)
    if await session.scalar(left) is None:
        raise WorkspaceError(
            409, "This is the last administrator; make somebody else one first.", kind="conflict"
        )


async def _groups(session: AsyncSession, user_ids: list[str]) -> dict[str, list[str]]:
    rows = await session.execute(
        select(GroupMember.user_id, GroupMember.group_id).where(GroupMember.user_id.in_(user_ids))
    )
    found: dict[str, list[str]] = {}
    for user_id, group_id in rows:
        found.setdefault(user_id, []).append(group_id)
    return found
