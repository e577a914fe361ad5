"""Settings of models and presets, as they lie in the database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.models.access import granted, grants_of, set_grants
from pagoda.workspace.models.setup import PARAMETERS
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Grant, Model, User
from pagoda.workspace.storage.values import new_id, now_ms

VISIBILITIES = ("inherited", "everyone", "granted")
#: what meta may hold
META = ("system", "thinking", "think_tags", "filter_ids", "default_filter_ids", "action_ids", "capabilities")
_CAPABILITIES = frozenset(("vision", "tools", "reasoning"))
_COLUMNS = ("name", "description", "icon", "position", "enabled", "visibility", "params")
_LONGEST_ICON = 100_000  #: characters: an emoji, or a small picture as a data: address
_ICON = re.compile(r"data:image/(png|jpeg|webp|gif|svg\+xml);base64,[A-Za-z0-9+/=]+")
_MOST_PRESETS = 200  #: of one user


class ModelSettings:
    """Reads and writes them. Who may see a model is `Providers`' to say."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def load(self, principal: Principal) -> tuple[dict[str, Model], set[tuple[str, str]]]:
        """All rows by id, and what is granted to somebody."""
        async with self._db.read() as session:
            rows = {row.id: row for row in await session.scalars(select(Model))}
            return rows, await granted(session, principal, ("model", "connection"))

    async def rows(self) -> dict[str, Model]:
        """All rows by id."""
        async with self._db.read() as session:
            return {row.id: row for row in await session.scalars(select(Model))}

    async def is_of_the_house(self, preset: Model) -> bool:
        """Whether an administrator has made it."""
        if preset.owner_id is None:
            return True
        async with self._db.read() as session:
            owner = await session.get(User, preset.owner_id)
        return owner is not None and owner.active and owner.role == "admin"

    async def change(self, model_id: str, values: Mapping[str, Any]) -> Model:
        """Sets something about a model, whose row is made with the first setting; presets go on being their
        owners'. Raises WorkspaceError.
        """
        async with self._db.write() as session:
            row = await session.get(Model, model_id)
            if row is None:
                row = Model(id=model_id, visibility="inherited", params={}, meta={})
                session.add(row)
            write(row, values)
            await session.flush()
            if "grants" in values:
                await set_grants(session, "model", model_id, values["grants"])
        return row

    async def reset(self, model_id: str) -> None:
        """Forgets what was set about a model."""
        async with self._db.write() as session:
            await session.execute(delete(Model).where(Model.id == model_id, Model.base_id.is_(None)))
            await session.execute(
                delete(Grant).where(Grant.resource_type == "model", Grant.resource_id == model_id)
            )

    async def order(self, ids: Sequence[str]) -> None:
        """Models in this order, before all others."""
        async with self._db.write() as session:
            rows = {row.id: row for row in await session.scalars(select(Model))}
            for row in rows.values():
                row.position = 0
            for place, model_id in enumerate(dict.fromkeys(ids)):
                found = rows.get(model_id)
                if found is None:
                    found = Model(id=model_id, visibility="inherited", params={}, meta={})
                    session.add(found)
                found.position = place - len(ids)

    async def grants(self, kind: str, resource_id: str) -> list[dict[str, str]]:
        async with self._db.read() as session:
            return await grants_of(session, kind, resource_id)

    async def set_grants(self, kind: str, resource_id: str, grants: Sequence[Mapping[str, Any]]) -> None:
        """Raises WorkspaceError."""
        async with self._db.write() as session:
            await set_grants(session, kind, resource_id, grants)

    async def presets(self, principal: Principal) -> list[Model]:
        """One's own; all of them for administrators."""
        query = select(Model).where(Model.base_id.is_not(None)).order_by(Model.position, Model.created_at)
        if not principal.is_admin:
            query = query.where(Model.owner_id == principal.id)
        async with self._db.read() as session:
            return list(await session.scalars(query))

    async def create_preset(self, principal: Principal, base_id: str, values: Mapping[str, Any]) -> Model:
        """The base has been looked at before. Raises WorkspaceError."""
        row = Model(id=f"preset-{new_id()}", base_id=base_id, owner_id=principal.id, visibility="granted")
        row.params, row.meta = {}, {}
        write(row, values)
        if not row.name:
            raise WorkspaceError(400, "A preset needs a name.", param="name")
        async with self._db.write() as session:
            mine = await session.scalars(
                select(Model.id).where(Model.owner_id == principal.id, Model.base_id.is_not(None))
            )
            if len(mine.all()) >= _MOST_PRESETS:
                raise WorkspaceError(
                    409,
                    f"One user has at most {_MOST_PRESETS} presets.",
                    kind="conflict",
                    code="most_presets",
                    values={"count": _MOST_PRESETS},
                )
            session.add(row)
            await session.flush()
            if "grants" in values:
                await set_grants(session, "model", row.id, values["grants"])
        return row

    async def change_preset(self, principal: Principal, preset_id: str, values: Mapping[str, Any]) -> Model:
        """Raises WorkspaceError 404, for what is somebody else's too."""
        async with self._db.write() as session:
            row = await session.get(Model, preset_id)
            if row is None or not _is_own(row, principal):
                raise not_found("preset")
            if values.get("base_id"):
                row.base_id = str(values["base_id"])
            write(row, values)
            if not row.name:
                raise WorkspaceError(400, "A preset needs a name.", param="name")
            if "grants" in values:
                await set_grants(session, "model", preset_id, values["grants"])
        return row

    async def delete_preset(self, principal: Principal, preset_id: str) -> None:
        """Raises WorkspaceError 404."""
        async with self._db.write() as session:
            row = await session.get(Model, preset_id)
            if row is None or not _is_own(row, principal):
                raise not_found("preset")
            await session.delete(row)
            await session.execute(
                delete(Grant).where(Grant.resource_type == "model", Grant.resource_id == preset_id)
            )


def write(row: Model, values: Mapping[str, Any]) -> None:
    """Sets columns and meta by their names; None takes a value of meta away. Raises WorkspaceError."""
    for name in _COLUMNS:
        if name in values:
            setattr(row, name, values[name])
    row.name, row.description = (row.name or "").strip()[:200], (row.description or "").strip()[:4000]
    if row.visibility not in VISIBILITIES:
        raise WorkspaceError(400, f"visibility is one of {', '.join(VISIBILITIES)}.", param="visibility")
    row.icon = row.icon or ""
    if len(row.icon) > 16 and not (len(row.icon) <= _LONGEST_ICON and _ICON.fullmatch(row.icon)):
        raise WorkspaceError(
            400, "An icon is an emoji or a picture of up to 75 kB.", param="icon", code="icon"
        )
    unknown = set(row.params or {}) - {*PARAMETERS}
    if unknown:
        raise WorkspaceError(400, f"There is no parameter {min(unknown)!r}.", param="params")
    meta = dict(row.meta or {})
    for name in META:
        if name in values:
            meta[name] = values[name]
    if not set(meta.get("capabilities") or ()) <= _CAPABILITIES:
        raise WorkspaceError(
            400, f"Capabilities are {', '.join(sorted(_CAPABILITIES))}.", param="capabilities"
        )
    row.meta = {name: value for name, value in meta.items() if value is not None}
    row.updated_at = now_ms()


def shown(row: Model) -> dict[str, Any]:
    """A row as its owner's page gets it."""
    return {
        "id": row.id,
        "base_id": row.base_id,
        "owner_id": row.owner_id,
        **{name: getattr(row, name) for name in _COLUMNS},
        **{name: row.meta.get(name) for name in META},
    }


def _is_own(row: Model, principal: Principal) -> bool:
    return row.base_id is not None and (row.owner_id == principal.id or principal.is_admin)
