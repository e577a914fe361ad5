"""The settings as they are now: what an administrator saves counts where the environment says nothing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select

from pagoda.workspace.accounts.audit import record
from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.settings import SETTINGS, SettingInfo, WorkspaceSettings
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Setting
from pagoda.workspace.storage.values import now_ms

_log = logging.getLogger(__name__)
_BY_VARIABLE: Mapping[str, SettingInfo] = {each.variable: each for each in SETTINGS.values()}


class HouseSettings:
    """given: what the environment says. `current` is complete after `load` and follows every change."""

    def __init__(self, database: Database, given: WorkspaceSettings) -> None:
        self._db = database
        self._given = given
        self.current = given

    async def load(self) -> None:
        async with self._db.read() as session:
            saved = {row.key: row.value for row in await session.scalars(select(Setting))}
        self._apply(saved)

    async def change(self, by: Principal, values: Mapping[str, Any], address: str) -> None:
        """Saves values by their variables' names; None goes back to the default. Raises WorkspaceError."""
        checked = {key: self._checked(key, value) for key, value in values.items()}
        async with self._db.write() as session:
            for key, value in checked.items():
                if value is None:
                    await session.execute(delete(Setting).where(Setting.key == key))
                else:
                    kind = _BY_VARIABLE[key].kind
                    row = Setting(key=key, value={"value": kind.to_json(value)}, updated_at=now_ms())
                    await session.merge(row)
            record(session, by, "settings.change", detail=dict(values), address=address)
            await session.flush()
            saved = {row.key: row.value for row in await session.scalars(select(Setting))}
        self._apply(saved)

    def shown(self) -> dict[str, dict[str, Any]]:
        """As the page of settings gets them. What the environment alone sets may be secret."""
        return {
            info.variable: {
                "value": _json(info, getattr(self.current, info.name)),
                "default": _json(info, info.default),
                "locked_by": info.variable if info.variable in self._given.locked else None,
                "kind": info.kind.name,
                "choices": list(info.kind.choices),
            }
            for info in SETTINGS.values()
            if info.page
        }

    def _checked(self, key: str, value: Any) -> Any:
        info = _BY_VARIABLE.get(key)
        if info is None or not info.page:
            raise WorkspaceError(400, f"There is no setting {key!r}.", param=key)
        if key in self._given.locked:
            raise WorkspaceError(
                409, f"The environment variable {key} sets this; change it there.", kind="conflict", param=key
            )
        if value is None:
            return None
        try:
            return info.kind.from_json(value)
        except (ValueError, AttributeError) as error:
            raise WorkspaceError(400, f"{key} cannot have this value: {error}.", param=key) from error

    def _apply(self, saved: Mapping[str, Any]) -> None:
        values = {}
        for key, stored in saved.items():
            info = _BY_VARIABLE.get(key)
            if info is None or not info.page or key in self._given.locked:
                continue
            try:
                values[info.name] = info.kind.from_json(stored["value"])
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                _log.warning("The saved setting %s is ignored: %s", key, error)
        self.current = self._given.changed(values)


def _json(info: SettingInfo, value: Any) -> Any:
    return None if value is None else info.kind.to_json(value)
