"""Accounts: the first administrator, signing up and in, sessions, personal keys."""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.accounts.attempts import Attempts
from pagoda.workspace.accounts.audit import record
from pagoda.workspace.accounts.pace import Pace
from pagoda.workspace.accounts.passwords import LONGEST, SHORTEST, Passwords
from pagoda.workspace.accounts.principal import DEFAULT_PERMISSIONS, Principal
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.database import Database, DatabaseError
from pagoda.workspace.storage.tables import ApiKey, Group, GroupMember, Session, User
from pagoda.workspace.storage.values import now_ms

ONLY_USER = "admin@localhost"  #: of a house without sign-in
NEW_ACCOUNTS, NEW_ACCOUNTS_SECONDS = 30, 3600.0  #: by visitors from one address; a class may sit behind one
_TOUCH_MS = 60_000  #: sessions and keys note their last use at most so often
_KEY_PREFIX = "sk-pagoda-"
_SHOWN_OF_KEY = 14
_log = logging.getLogger(__name__)
_WITH_PASSWORD = select(User.id).where(User.password_hash.is_not(None))
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class Accounts:
    """Users and how they prove who they are. Secrets are kept as digests alone.

    settings: as they are at the moment.
    """

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        attempts: Attempts,
        settings: Callable[[], WorkspaceSettings],
    ) -> None:
        self._db = database
        self._passwords = passwords
        self._attempts = attempts
        self._new_accounts = Pace(NEW_ACCOUNTS, NEW_ACCOUNTS_SECONDS)
        self._settings = settings
        self._has_users = False

    async def setup_required(self) -> bool:
        """Whether nobody can sign in yet."""
        if not self._settings().auth:
            return False
        if not self._has_users:
            async with self._db.read() as session:
                self._has_users = await session.scalar(_WITH_PASSWORD.limit(1)) is not None
        return not self._has_users

    async def begin_without_sign_in(self) -> None:
        """Makes the one user of a house whose settings say WEBUI_AUTH=False: an administrator.

        Raises DatabaseError where people have accounts: whoever comes would be their administrator.
        """
        async with self._db.write() as session:
            await self._db.take_turns(session, "setup")
            if await session.scalar(_WITH_PASSWORD.limit(1)) is not None:
                raise DatabaseError(
                    "WEBUI_AUTH=False is for one user without sign-in, but there are accounts here; "
                    "leave it out, or set PAGODA_HOME to another folder"
                )
            if await session.scalar(select(User).where(User.email == ONLY_USER)) is None:
                session.add(User(name="User", email=ONLY_USER, password_hash=None, role="admin"))
        _log.warning("WEBUI_AUTH=False: whoever reaches this server is its administrator")

    async def only_user(self) -> Principal | None:
        """Who everybody is in a house without sign-in."""
        async with self._db.read() as session:
            found = await session.scalar(select(User.id).where(User.email == ONLY_USER))
            return None if found is None else await self._principal(session, found, None)

    async def set_up(self, name: str, email: str, password: str, address: str = "") -> str:
        """Makes the administrator, or gives the one user of a house without sign-in so far a name and a
        password; returns the id. Raises WorkspaceError 409 when there is an administrator already.
        """
        name, email = checked(name, email, password)
        if not await self.setup_required():  # before a hash is made, which is dear on purpose
            raise _set_up_already()
        hashed = await self._passwords.hash(password)
        async with self._db.write() as session:
            await self._db.take_turns(session, "setup")
            if await session.scalar(_WITH_PASSWORD.limit(1)) is not None:
                raise _set_up_already()
            user = await session.scalar(select(User).where(User.email == ONLY_USER))
            if user is None:
                user = User(role="admin")
                session.add(user)
            user.name, user.email, user.password_hash = name, email, hashed
            await session.flush()
            record(session, user.id, "setup", target=("user", user.id), address=address)
        self._has_users = True
        return user.id

    async def make_first_administrator(self) -> None:
        """The one of the environment, where it names one and nobody has an account. Raises DatabaseError."""
        given = self._settings()
        if not (given.admin_email and given.admin_password and await self.setup_required()):
            return
        try:
            await self.set_up(given.admin_name, given.admin_email, given.admin_password)
        except WorkspaceError as error:
            raise DatabaseError(f"the administrator of WEBUI_ADMIN_EMAIL cannot be made: {error}") from error

    async def sign_up(self, name: str, email: str, password: str, role: str, address: str = "") -> str:
        """An account of somebody's own making. Raises WorkspaceError 409 for an address in use."""
        name, email = checked(name, email, password)
        hashed = await self._passwords.hash(password)
        user = User(name=name, email=email, password_hash=hashed, role=role)
        async with unique_email(self._db) as session:
            session.add(user)
            await session.flush()
            record(session, user.id, "sign_up", target=("user", user.id), address=address)
        return user.id

    def check_pace(self, address: str) -> None:
        """Before an account is made by a visitor. Raises WorkspaceError 429 where too many have been, or were
        tried, from this address.
        """
        if (wait := self._new_accounts.take(address)) > 0:
            raise WorkspaceError(
                429,
                f"Too many accounts from your address; try again in {int(wait / 60) + 1} minutes.",
                kind="rate_limit",
                code="too_many_accounts",
                values={"minutes": int(wait / 60) + 1},
                headers={"Retry-After": str(int(wait) + 1)},
            )

    async def check_password(self, email: str, password: str, address: str) -> str:
        """The id of the user. Raises WorkspaceError 401, or 429 after too many wrong tries."""
        email = email.strip().lower()
        names = (f"account:{email}", f"address:{address}")
        self._check_wait(*names)
        async with self._db.read() as session:
            user = await session.scalar(select(User).where(User.email == email))
        known = user.password_hash if user is not None and user.active else None
        if not await self._passwords.matches(known, password) or user is None:
            self._attempts.failed(*names)
            await self._note_failure(user, address)
            raise WorkspaceError(401, "E-mail or password is wrong.", kind="authentication")
        self._attempts.succeeded(*names)
        async with self._db.write() as session:
            record(session, user.id, "sign_in", target=("user", user.id), address=address)
        return user.id

    async def confirm(self, principal: Principal, password: str, address: str) -> None:
        """Asks somebody who is signed in for the password again, but in a house without sign-in. Raises
        WorkspaceError 403, or 429 after too many wrong tries.
        """
        async with self._db.read() as session:
            user = await session.get(User, principal.id)
        if user is not None and user.password_hash is None and not self._settings().auth:
            return
        names = (f"account:{principal.email}", f"address:{address}")
        self._check_wait(*names)
        if user is None or not await self._passwords.matches(user.password_hash, password):
            self._attempts.failed(*names)
            await self._note_failure(user, address)
            raise WorkspaceError(403, "The password is wrong.", kind="permission", param="current")
        self._attempts.succeeded(*names)

    def _check_wait(self, *names: str) -> None:
        if (wait := self._attempts.wait(*names)) > 0:
            raise WorkspaceError(
                429,
                f"Too many wrong passwords; try again in {int(wait) + 1} seconds.",
                kind="rate_limit",
                headers={"Retry-After": str(int(wait) + 1)},
            )

    async def _note_failure(self, user: User | None, address: str) -> None:
        """Names no account that is not there: people type passwords into the wrong field."""
        async with self._db.write() as session:
            target = ("", "") if user is None else ("user", user.id)
            record(session, None, "sign_in_failed", target=target, address=address)

    async def begin_session(self, user_id: str, user_agent: str, address: str) -> str:
        """The token for the cookie; it is not kept here."""
        token = secrets.token_urlsafe(32)
        expires = now_ms() + self._settings().session_seconds * 1000
        async with self._db.write() as session:
            await session.execute(delete(Session).where(Session.expires_at < now_ms()))
            session.add(
                Session(
                    token_hash=digest(token),
                    user_id=user_id,
                    expires_at=expires,
                    user_agent=user_agent[:200],
                    address=address,
                )
            )
        return token

    async def end_session(self, token: str) -> None:
        async with self._db.write() as session:
            await session.execute(delete(Session).where(Session.token_hash == digest(token)))

    async def by_session(self, token: str) -> Principal | None:
        """Who a cookie's token belongs to; None when it is not, or no more, valid."""
        async with self._db.read() as session:
            found = await session.get(Session, digest(token))
            if found is None or found.expires_at < now_ms():
                return None
            principal = await self._principal(session, found.user_id, found.id)
        if principal is not None and now_ms() - found.last_used_at > _TOUCH_MS:
            async with self._db.write() as session:
                at = now_ms()
                await session.execute(update(Session).where(Session.id == found.id).values(last_used_at=at))
                await session.execute(update(User).where(User.id == principal.id).values(last_active_at=at))
        return principal

    async def by_key(self, key: str) -> Principal | None:
        """Who a personal key belongs to; None for one that is unknown or has expired."""
        if not key.startswith(_KEY_PREFIX):
            return None
        async with self._db.read() as session:
            found = await session.scalar(select(ApiKey).where(ApiKey.key_hash == digest(key)))
            if found is None or (found.expires_at is not None and found.expires_at < now_ms()):
                return None
            principal = await self._principal(session, found.user_id, None)
        if principal is None or principal.role == "pending":
            return None
        if found.last_used_at is None or now_ms() - found.last_used_at > _TOUCH_MS:
            async with self._db.write() as session:
                await session.execute(
                    update(ApiKey).where(ApiKey.id == found.id).values(last_used_at=now_ms())
                )
        return principal

    async def sessions(self, user_id: str, current: str | None) -> list[dict[str, Any]]:
        async with self._db.read() as session:
            rows = await session.scalars(
                select(Session).where(Session.user_id == user_id, Session.expires_at > now_ms())
            )
            return [
                {
                    "id": row.id,
                    "created_at": row.created_at,
                    "last_used_at": row.last_used_at,
                    "user_agent": row.user_agent,
                    "address": row.address,
                    "current": row.id == current,
                }
                for row in rows
            ]

    async def revoke_session(self, user_id: str, session_id: str) -> None:
        """Raises WorkspaceError 404 for what is not the user's."""
        async with self._db.write() as session:
            found = await session.scalar(
                select(Session).where(Session.id == session_id, Session.user_id == user_id)
            )
            if found is None:
                raise not_found("session")
            await session.delete(found)

    async def change_password(self, principal: Principal, current: str, new: str) -> None:
        """Ends every other session of the user. Raises WorkspaceError."""
        check_password(new)
        async with self._db.read() as session:
            user = await session.get(User, principal.id)
        if user is None or not await self._passwords.matches(user.password_hash, current):
            raise WorkspaceError(400, "The current password is wrong.", param="current")
        hashed = await self._passwords.hash(new)
        async with self._db.write() as session:
            await session.execute(
                update(User)
                .where(User.id == principal.id)
                .values(password_hash=hashed, password_expired=False)
            )
            await session.execute(
                delete(Session).where(Session.user_id == principal.id, Session.id != principal.session_id)
            )

    async def update_me(
        self, user_id: str, *, name: str | None = None, settings: dict[str, Any] | None = None
    ) -> None:
        async with self._db.write() as session:
            user = await session.get(User, user_id)
            if user is None:
                raise not_found("user")
            if name is not None:
                user.name = checked_name(name)
            if settings is not None:
                user.settings = {**user.settings, **settings}

    async def create_key(self, user_id: str, name: str) -> tuple[ApiKey, str]:
        """The row, and the key itself, which is told once."""
        key = _KEY_PREFIX + secrets.token_urlsafe(32)
        row = ApiKey(
            user_id=user_id, name=name.strip()[:100], prefix=key[:_SHOWN_OF_KEY], key_hash=digest(key)
        )
        async with self._db.write() as session:
            session.add(row)
        return row, key

    async def keys(self, user_id: str) -> list[ApiKey]:
        async with self._db.read() as session:
            found = await session.scalars(
                select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.created_at)
            )
            return list(found)

    async def delete_key(self, user_id: str, key_id: str) -> None:
        """Raises WorkspaceError 404 for what is not the user's."""
        async with self._db.write() as session:
            found = await session.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id))
            if found is None:
                raise not_found("key")
            await session.delete(found)

    async def _principal(
        self, session: AsyncSession, user_id: str, session_id: str | None
    ) -> Principal | None:
        user = await session.get(User, user_id)
        if user is None or not user.active:
            return None
        groups = (
            await session.scalars(
                select(Group)
                .join(GroupMember, GroupMember.group_id == Group.id)
                .where(GroupMember.user_id == user_id)
            )
        ).all()
        permissions = {**DEFAULT_PERMISSIONS, **self._settings().permissions}
        for group in groups:  # they add, nothing takes away
            permissions.update({name: True for name, given in group.permissions.items() if given})
        return Principal(
            id=user.id,
            email=user.email,
            name=user.name,
            role=user.role,
            settings=user.settings,
            groups=frozenset(group.id for group in groups),
            permissions=permissions,
            session_id=session_id,
            password_expired=user.password_expired,
        )


@asynccontextmanager
async def unique_email(database: Database) -> AsyncIterator[AsyncSession]:
    """A session that writes a user. Raises WorkspaceError 409 for an address in use."""
    try:
        async with database.write() as session:
            yield session
    except IntegrityError as error:
        raise WorkspaceError(
            409, "This e-mail address has an account already.", kind="conflict", param="email"
        ) from error


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal. Enough for secrets of 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def check_password(password: str) -> None:
    """Raises WorkspaceError 400."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise WorkspaceError(400, f"A password has {SHORTEST} to {LONGEST} characters.", param="password")


def checked(name: str, email: str, password: str) -> tuple[str, str]:
    """Name and address as they are kept. Raises WorkspaceError 400."""
    email = checked_email(email)
    check_password(password)
    return checked_name(name), email


def checked_email(email: str) -> str:
    """In lower case. Raises WorkspaceError 400."""
    email = email.strip().lower()
    if len(email) > 254 or not _EMAIL.fullmatch(email):
        raise WorkspaceError(400, "The e-mail address is not one, such as ada@example.org.", param="email")
    return email


def checked_name(name: str) -> str:
    """Without line ends and spaces around. Raises WorkspaceError 400."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 100:
        raise WorkspaceError(400, "A name has 1 to 100 characters.", param="name")
    return name


def _set_up_already() -> WorkspaceError:
    return WorkspaceError(409, "An administrator exists already; sign in.", kind="conflict", code="set_up")
