"""Which provider answers for a model, and which models a user sees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import not_found
from pagoda.workspace.models.service import ModelSettings
from pagoda.workspace.models.setup import Setup, setup_of
from pagoda.workspace.providers.base import Provider, ProviderError, ProviderModel
from pagoda.workspace.providers.connections import Connections
from pagoda.workspace.providers.live import LiveConnection
from pagoda.workspace.storage.tables import Model

FIRST_ANSWER_SECONDS = 5.0  #: how long a question waits for a connection that was never asked yet

#: what functions add to a model in the page: {"filters": [...], "actions": [...]}
Extras = Callable[[Principal, Setup], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that somebody sees. live: its connection, None for a provider of this server."""

    id: str
    provider: Provider
    model: ProviderModel
    live: LiveConnection | None = None

    @property
    def is_own(self) -> bool:
        return self.live is not None and self.live.info.owner_id is not None


@dataclass(frozen=True, slots=True)
class Resolved:
    """Who answers for `id`, what the model is called there, and with which settings it is asked."""

    id: str
    provider: Provider
    model: ProviderModel
    setup: Setup
    is_local: bool
    is_preset: bool = False


class Providers:
    """This server's own providers first, then the house's connections, then the user's own. Where two have a
    model of one name, the first one answers.
    """

    def __init__(
        self, providers: Sequence[Provider], connections: Connections, models: ModelSettings
    ) -> None:
        self._providers = list(providers)
        self._connections = connections
        self._settings = models
        self.extras: Extras | None = None

    def add(self, provider: Provider) -> None:
        """One more provider of this server's own."""
        self._providers.append(provider)

    async def models(self, principal: Principal) -> dict[str, Any]:
        """What a user may choose. Nobody is waited for: what is old is asked for again in the background."""
        entries, rows, seen = await self._view(principal)
        found: list[tuple[int, dict[str, Any]]] = []
        for entry in entries.values():
            row = None if entry.is_own else rows.get(entry.id)
            found.append((row.position if row else 0, await self._shown(principal, entry, row, None)))
        for preset in seen:
            base = entries.get(preset.base_id or "") or await self._hidden_base(preset)
            if base is not None:
                row = rows.get(base.id) if not base.is_own else None
                found.append((preset.position, await self._shown(principal, base, row, preset)))
        found.sort(key=lambda each: each[0])
        times = [live.refreshed_at for live in self._connections.all() if live.refreshed_at is not None]
        return {"models": [each for _, each in found], "refreshed_at": max(times, default=None)}

    async def check(self, principal: Principal, model: str) -> None:
        """Raises WorkspaceError 404 for a model that the user does not see."""
        await self.resolve(principal, model)

    async def resolve(self, principal: Principal, model: str) -> Resolved:
        """Raises WorkspaceError 404."""
        found = await self._resolve(principal, model)
        if found is None:
            await self._connections.wait_first(FIRST_ANSWER_SECONDS)
            found = await self._resolve(principal, model)
        if found is None:
            raise not_found("model")
        return found

    async def everything(self) -> list[tuple[Entry, Model | None]]:
        """All models of the house with what is set about them, hidden ones too."""
        rows = await self._rows()
        return [(entry, rows.get(entry.id)) for entry in (await self._entries(None)).values()]

    async def _resolve(self, principal: Principal, model: str) -> Resolved | None:
        entries, rows, seen = await self._view(principal)
        preset = next((row for row in seen if row.id == model), None)
        entry = entries.get((preset.base_id or "") if preset else model)
        if entry is None and preset is not None:
            entry = await self._hidden_base(preset)
        if entry is None:
            return None
        row = None if entry.is_own else rows.get(entry.id)
        setup = setup_of([each for each in (row, preset) if each is not None])
        return Resolved(model, entry.provider, entry.model, setup, entry.live is None, preset is not None)

    async def _view(self, principal: Principal) -> tuple[dict[str, Entry], dict[str, Model], list[Model]]:
        """The models that somebody sees, all settings, and the presets that somebody sees."""
        rows, grants = await self._settings.load(principal)
        entries = {
            entry.id: entry
            for entry in (await self._entries(principal)).values()
            if entry.is_own or self._sees(principal, entry, rows.get(entry.id), grants)
        }
        seen = [
            row
            for row in rows.values()
            if row.base_id is not None
            and row.enabled
            and (
                row.owner_id == principal.id
                or row.visibility == "everyone"
                or ("model", row.id) in grants
                or principal.is_admin
            )
        ]
        return entries, rows, sorted(seen, key=lambda row: row.created_at)

    async def _entries(self, principal: Principal | None) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        for provider in self._providers:
            try:
                listed = await provider.list_models()
            except ProviderError:
                continue  # has no models now
            for model in listed:
                found.setdefault(model.id, Entry(model.id, provider, model))
        for live in self._connections.all():
            owner = live.info.owner_id
            mine = principal is not None and owner == principal.id and principal.may("connections.own")
            if not live.info.enabled or not (owner is None or mine):
                continue
            live.refresh_if_due()
            for name, model in live.models():
                found.setdefault(name, Entry(name, live.provider, model, live))
        return found

    @staticmethod
    def _sees(principal: Principal, entry: Entry, row: Model | None, grants: set[tuple[str, str]]) -> bool:
        if row is not None and not row.enabled:
            return False
        visibility = row.visibility if row is not None else "inherited"
        if principal.is_admin or visibility == "everyone" or ("model", entry.id) in grants:
            return True
        if visibility == "granted":
            return False
        info = entry.live.info if entry.live is not None else None
        return info is None or info.visibility == "everyone" or ("connection", info.id) in grants

    async def _hidden_base(self, preset: Model) -> Entry | None:
        """A preset of an administrator's opens its base to whoever sees the preset; a user's does not."""
        if not await self._settings.is_of_the_house(preset):
            return None
        rows = await self._rows()
        base = (await self._entries(None)).get(preset.base_id or "")
        row = rows.get(preset.base_id or "")
        return base if row is None or row.enabled else None

    async def _rows(self) -> dict[str, Model]:
        return await self._settings.rows()

    async def _shown(
        self, principal: Principal, entry: Entry, row: Model | None, preset: Model | None
    ) -> dict[str, Any]:
        setup = setup_of([each for each in (row, preset) if each is not None])
        model, live = entry.model, entry.live
        state, error = model.state, model.error
        if live is not None and live.state == "error":
            state, error = "error", live.error
        named = [each for each in (preset, row) if each is not None]
        extras = await self.extras(principal, setup) if self.extras is not None else {}
        return {
            "id": preset.id if preset else entry.id,
            "name": next((each.name for each in named if each.name), model.name),
            "description": next((each.description for each in named if each.description), ""),
            "icon": next((each.icon for each in named if each.icon), ""),
            "context_length": model.context_length,
            "capabilities": sorted(setup.meta.get("capabilities") or model.capabilities),
            "params": setup.defaults(),
            "connection": live.info.name if live is not None else entry.provider.id,
            "own": entry.is_own or (preset is not None and preset.owner_id == principal.id),
            "preset": preset is not None,
            "base_id": preset.base_id if preset else None,
            "state": state,
            "error": error,
            "filters": [],
            "actions": [],
            **extras,
        }
