"""All connections, of the house and of its users: kept in the database or named by the environment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.providers.base import ProviderError
from pagoda.workspace.providers.environment import FixedConnection
from pagoda.workspace.providers.guard import Guard, split_url
from pagoda.workspace.providers.live import ConnectionInfo, LiveConnection
from pagoda.workspace.providers.openai import OpenAIProvider
from pagoda.workspace.storage.database import Database, DatabaseError
from pagoda.workspace.storage.sealing import Sealer, SealingError
from pagoda.workspace.storage.tables import Connection
from pagoda.workspace.storage.values import new_id

MOST_OWN = 20  #: connections of one user
_FIELDS = ("name", "base_url", "prefix", "allowed_models", "visibility", "enabled", "position")


class Connections:
    """fixed: of the environment; they cannot be changed. private_for_users: whether users' own connections
    may call private networks.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        fixed: Sequence[FixedConnection] = (),
        private_for_users: bool = False,
    ) -> None:
        self._db = database
        self._sealer = sealer
        self._private_for_users = private_for_users
        self._live: dict[str, LiveConnection] = {}
        self._fixed = list(fixed)

    async def start(self) -> None:
        """Takes up what is set up, and asks all in the background."""
        for place, each in enumerate(self._fixed):
            info = ConnectionInfo(
                each.id,
                _host(each.base_url),
                each.base_url,
                position=place - len(self._fixed),
                has_key=each.key is not None,
                locked_by=each.locked_by,
            )
            self._take_up(info, each.key)
        async with self._db.read() as session:
            rows = list(await session.scalars(select(Connection).order_by(Connection.created_at)))
        for row in rows:
            self._take_up_row(row)
        for live in self._live.values():
            live.refresh_if_due()

    async def stop(self) -> None:
        live, self._live = list(self._live.values()), {}
        await asyncio.gather(*(each.close() for each in live))

    def all(self) -> list[LiveConnection]:
        """The house's in their order, then the users' own."""
        return sorted(
            self._live.values(), key=lambda each: (each.info.owner_id is not None, each.info.position)
        )

    def of(self, owner_id: str | None) -> list[LiveConnection]:
        """Somebody's own, or the house's (None)."""
        return [each for each in self.all() if each.info.owner_id == owner_id]

    def find(self, owner_id: str | None, connection_id: str) -> LiveConnection:
        """Raises WorkspaceError 404, for what is somebody else's too."""
        found = self._live.get(connection_id)
        if found is None or found.info.owner_id != owner_id:
            raise not_found("connection")
        return found

    async def wait_first(self, seconds: float) -> None:
        """Until each connection has been asked once, or the time is over."""
        first = [live.refresh() for live in self._live.values() if live.state == "unknown"]
        if first:
            await asyncio.wait(first, timeout=seconds)

    async def create(self, owner_id: str | None, values: Mapping[str, Any]) -> LiveConnection:
        """values: name, base_url, key, prefix, allowed_models, visibility, enabled. Raises WorkspaceError."""
        if owner_id is not None and len(self.of(owner_id)) >= MOST_OWN:
            raise WorkspaceError(
                409,
                f"One user has at most {MOST_OWN} connections.",
                kind="conflict",
                code="most_connections",
                values={"count": MOST_OWN},
            )
        row = Connection(id=new_id(), owner_id=owner_id)
        self._write(row, {"base_url": "", **values})
        async with self._db.write() as session:
            session.add(row)
        live = self._take_up_row(row)
        live.refresh_if_due()
        return live

    async def change(
        self, owner_id: str | None, connection_id: str, values: Mapping[str, Any]
    ) -> LiveConnection:
        """key: a new one, "" or None for none; left out, the old one stays, but for another host it has to be
        given again. Answers that run on another address or key end. Raises WorkspaceError.
        """
        live = self._changeable(owner_id, connection_id)
        moved = "base_url" in values and _origin(str(values["base_url"])) != _origin(live.info.base_url)
        if moved and live.info.has_key and "key" not in values:
            raise WorkspaceError(
                400,
                "Enter the key again: it is not sent to another server unasked.",
                param="key",
                code="key_again",
            )
        async with self._db.write() as session:
            row = await session.get(Connection, connection_id)
            if row is None:
                raise not_found("connection")
            self._write(row, values)
        changed = self._take_up_row(row, replaces=live)
        if changed is not live:
            await live.close()
        changed.refresh_if_due()
        return changed

    async def delete(self, owner_id: str | None, connection_id: str) -> None:
        """Answers that run on it end. Raises WorkspaceError."""
        live = self._changeable(owner_id, connection_id)
        async with self._db.write() as session:
            row = await session.get(Connection, connection_id)
            if row is not None:
                await session.delete(row)
        self._live.pop(connection_id, None)
        await live.close()

    async def test(self, owner_id: str | None, connection_id: str) -> dict[str, Any]:
        """Asks a connection for its models now: what answered, how fast. Raises WorkspaceError 404."""
        live = self.find(owner_id, connection_id)
        began = time.monotonic()
        try:
            found = await live.provider.list_models()
        except ProviderError as error:
            return {"ok": False, "error": str(error), "models": [], "seconds": time.monotonic() - began}
        seconds = time.monotonic() - began
        live.refresh()
        return {"ok": True, "error": None, "models": [model.id for model in found], "seconds": seconds}

    def _changeable(self, owner_id: str | None, connection_id: str) -> LiveConnection:
        live = self.find(owner_id, connection_id)
        if live.info.locked_by is not None:
            raise WorkspaceError(
                409,
                f"This connection is set by {live.info.locked_by}; change it there.",
                kind="locked",
                code="locked",
                values={"variable": live.info.locked_by},
            )
        return live

    def _write(self, row: Connection, values: Mapping[str, Any]) -> None:
        for name in _FIELDS:
            if name in values:
                setattr(row, name, values[name])
        if "base_url" in values:
            row.base_url = str(values["base_url"]).strip().rstrip("/")
            try:
                split_url(row.base_url)
            except ProviderError as error:
                raise WorkspaceError(
                    400, str(error), param="base_url", code=error.code, values=error.values
                ) from error
        row.name = (row.name or "").strip() or _host(row.base_url)
        if "key" in values:
            key = (values["key"] or "").strip()
            if not key.isascii() or not key.isprintable():
                raise WorkspaceError(
                    400, "The key holds characters that no key has.", param="key", code="key_characters"
                )
            row.key_sealed = self._sealer.seal(key, _purpose(row.id)) if key else None

    def _take_up_row(self, row: Connection, replaces: LiveConnection | None = None) -> LiveConnection:
        info = ConnectionInfo(
            row.id,
            row.name,
            row.base_url,
            row.owner_id,
            row.prefix or "",
            None if row.allowed_models is None else tuple(row.allowed_models),
            row.visibility or "everyone",
            True if row.enabled is None else row.enabled,
            row.position or 0,
            row.key_sealed is not None,
        )
        key, problem = None, None
        if row.key_sealed is not None:
            try:
                key = self._sealer.unseal(row.key_sealed, _purpose(row.id))
            except (SealingError, DatabaseError) as error:
                problem = str(error)
        if replaces is not None and (replaces.info.base_url, replaces.key) == (info.base_url, key):
            replaces.info = info  # running answers go on
            return replaces
        return self._take_up(info, key, problem)

    def _take_up(self, info: ConnectionInfo, key: str | None, problem: str | None = None) -> LiveConnection:
        guard = Guard(allow_private=info.owner_id is None or self._private_for_users)
        live = LiveConnection(info, OpenAIProvider(info.id, info.base_url, key, guard), key, problem)
        self._live[info.id] = live
        return live


def shown(live: LiveConnection) -> dict[str, Any]:
    """A connection as its owner's page gets it: the key stays here."""
    info = live.info
    return {
        "id": info.id,
        "name": info.name,
        "base_url": info.base_url,
        "has_key": info.has_key,
        "prefix": info.prefix,
        "allowed_models": None if info.allowed_models is None else list(info.allowed_models),
        "visibility": info.visibility,
        "enabled": info.enabled,
        "position": info.position,
        "locked_by": info.locked_by,
        **live.shown(),
    }


def _purpose(connection_id: str) -> str:
    return f"connection/{connection_id}"


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0] or url


def _origin(url: str) -> str:
    return url.strip().lower().partition("://")[0] + "://" + _host(url.strip()).lower()
