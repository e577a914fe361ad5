"""Functions as they are saved, with their valves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select

from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.functions.work import Code
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.sealing import Sealer
from pagoda.workspace.storage.tables import Function, UserValves
from pagoda.workspace.storage.values import now_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A saved function. info: what `describe` told of it. valves: None where the defaults hold."""

    code: Code
    type: str
    name: str
    info: Mapping[str, Any]
    active: bool
    is_global: bool
    position: int
    error: str | None
    valves: dict[str, Any] | None
    updated_at: int

    @property
    def id(self) -> str:
        return self.code.id

    @property
    def priority(self) -> int:
        """Lower runs first; then the id decides."""
        found = (self.valves or {}).get("priority", self.info.get("priority"))
        return found if isinstance(found, int) else 0

    def has(self, hook: str) -> bool:
        return hook in self.info.get("hooks", ())


class FunctionStore:
    """Reads functions once and keeps them: this server alone changes them."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._db = database
        self._sealer = sealer
        self._all: dict[str, Installed] | None = None

    async def all(self) -> dict[str, Installed]:
        """By id, in the order in which they run."""
        if self._all is None:
            async with self._db.read() as session:
                rows = list(await session.scalars(select(Function)))
            found = sorted((self._read(row) for row in rows), key=lambda each: (each.priority, each.id))
            self._all = {each.id: each for each in found}
        return self._all

    async def get(self, function_id: str) -> Installed:
        """Raises WorkspaceError 404."""
        found = (await self.all()).get(function_id)
        if found is None:
            raise not_found("function")
        return found

    async def add(self, code: Code, info: Mapping[str, Any]) -> None:
        """Raises WorkspaceError for an id that is taken."""
        async with self._db.write() as session:
            if await session.get(Function, code.id) is not None:
                raise WorkspaceError(409, f"There is a function {code.id} already.", param="id")
            session.add(Function(id=code.id, content=code.content, **_columns(code, info)))
        self._all = None

    async def change(self, function_id: str, **values: Any) -> None:
        """active, is_global, position, name, error. Raises WorkspaceError 404."""
        async with self._db.write() as session:
            row = await session.get(Function, function_id)
            if row is None:
                raise not_found("function")
            for name, value in values.items():
                setattr(row, name, value)
            row.updated_at = now_ms()
        self._all = None

    async def rewrite(self, code: Code, info: Mapping[str, Any]) -> None:
        await self.change(code.id, content=code.content, error=None, **_columns(code, info))

    async def remove(self, function_id: str) -> None:
        """Raises WorkspaceError 404."""
        async with self._db.write() as session:
            row = await session.get(Function, function_id)
            if row is None:
                raise not_found("function")
            await session.execute(delete(UserValves).where(UserValves.function_id == function_id))
            await session.delete(row)
        self._all = None

    async def save_valves(self, function_id: str, values: Mapping[str, Any]) -> None:
        sealed = self._sealer.seal(json.dumps(values), f"function/{function_id}")
        await self.change(function_id, valves_sealed=sealed)

    async def user_valves(self, function_id: str, user_id: str) -> dict[str, Any] | None:
        """None where the user has saved none. Raises SealingError."""
        async with self._db.read() as session:
            row = await session.get(UserValves, (function_id, user_id))
        if row is None:
            return None
        return _values(self._sealer.unseal(row.values_sealed, _purpose(function_id, user_id)))

    async def save_user_valves(self, function_id: str, user_id: str, values: Mapping[str, Any]) -> None:
        sealed = self._sealer.seal(json.dumps(values), _purpose(function_id, user_id))
        async with self._db.write() as session:
            row = await session.get(UserValves, (function_id, user_id))
            if row is None:
                session.add(UserValves(function_id=function_id, user_id=user_id, values_sealed=sealed))
            else:
                row.values_sealed = sealed

    def _read(self, row: Function) -> Installed:
        valves = None
        if row.valves_sealed is not None:
            valves = _values(self._sealer.unseal(row.valves_sealed, f"function/{row.id}"))
        return Installed(
            code=code_of(row.id, row.content),
            type=row.type,
            name=row.name,
            info=row.meta.get("info") or {},
            active=row.active,
            is_global=row.is_global,
            position=row.position,
            error=row.error,
            valves=valves,
            updated_at=row.updated_at,
        )


def code_of(function_id: str, content: str) -> Code:
    return Code(function_id, content, hashlib.sha256(content.encode()).hexdigest())


def _columns(code: Code, info: Mapping[str, Any]) -> dict[str, Any]:
    manifest = dict(info.get("manifest") or {})
    return {
        "type": info["type"],
        "name": manifest.get("title") or code.id,
        "manifest": manifest,
        "meta": {"info": dict(info)},
    }


def _values(text: str) -> dict[str, Any]:
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def _purpose(function_id: str, user_id: str) -> str:
    return f"user_valves/{function_id}/{user_id}"
