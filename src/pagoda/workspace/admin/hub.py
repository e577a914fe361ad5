"""The models of this machine as administrators manage them: which are offered is kept in the database."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, select

from pagoda.workspace.accounts.audit import record
from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.admin.model_hub import HubModel, ModelHub, ModelHubError, Offer
from pagoda.workspace.admin.pulls import Pull, Pulls
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Setting
from pagoda.workspace.storage.values import now_ms

OFFERS = "OFFERED_MODELS"  #: the row of the table of settings

_log = logging.getLogger(__name__)


class Hub:
    """models: None where this server has no models of its own."""

    def __init__(self, database: Database, models: ModelHub | None) -> None:
        self._db = database
        self._models = models
        self._pulls = None if models is None else Pulls(models, self._arrived)
        self._offers: dict[str, Offer] = {}
        self._missing: dict[str, ModelHubError] = {}  # offers that cannot be served, and why

    async def start(self) -> None:
        """Offers again what was offered before; what cannot be is told in the overview."""
        if self._models is None:
            return
        async with self._db.read() as session:
            row = await session.scalar(select(Setting).where(Setting.key == OFFERS))
        for offer in _read(row.value if row is not None else {}):
            self._offers[offer.name] = offer
            try:
                await self._models.offer(offer, at_start=True)
            except ModelHubError as error:
                _log.warning("%s is not served: %s", offer.name, error)
                self._missing[offer.name] = error
        for name in self._models.offered() - self._offers.keys():  # before a backup was restored
            try:
                await self._models.withdraw(name)
            except ModelHubError as error:
                _log.warning("%s is still served: %s", name, error)

    async def stop(self) -> None:
        if self._models is not None:
            await self.pulls.stop()
            await self._models.stop()

    @property
    def models(self) -> ModelHub:
        """Raises WorkspaceError 404 where there are none."""
        if self._models is None:
            raise not_found("model hub")
        return self._models

    @property
    def pulls(self) -> Pulls:
        """Raises WorkspaceError 404 where there are none."""
        if self._pulls is None:
            raise not_found("model hub")
        return self._pulls

    async def overview(self) -> dict[str, Any]:
        found = await self.models.overview()
        models = [asdict(model) for model in found.models]
        served = {model.id for model in found.models}
        models += [
            _missing(self._offers[name], why) for name, why in self._missing.items() if name not in served
        ]
        return {
            "models": models,
            "catalog": [asdict(entry) for entry in found.catalog],
            "memory": asdict(found.memory),
            "offline": found.offline,
        }

    async def pull(self, by: Principal, model: str, revision: str | None, address: str) -> Pull:
        """Raises WorkspaceError, ModelHubError."""
        pull = self.pulls.start(model, revision)
        await self._record(
            by, "model.pull", model, address, {} if revision is None else {"revision": revision}
        )
        return pull

    async def cancel(self, by: Principal, pull_id: str, address: str) -> Pull:
        """Raises WorkspaceError."""
        was_running = self.pulls.find(pull_id).state == "running"
        pull = await self.pulls.cancel(pull_id)
        if was_running:
            await self._record(by, "model.cancel_pull", pull.model, address)
        return pull

    async def load(self, by: Principal, model: str, make_room: bool, address: str) -> str:
        """Begins to load a model, which is offered from then on; gives the name it is served by. Raises
        WorkspaceError, ModelHubError.
        """
        offer = await self.models.check_load(model, make_room)
        name = model
        if offer is not None:
            await self._offer(offer)
            name = offer.name
        self.models.begin_load(name)
        await self._record(by, "model.load", name, address)
        return name

    async def unload(self, by: Principal, name: str, address: str) -> None:
        """Raises WorkspaceError, ModelHubError."""
        self.models.begin_unload(name)
        await self._record(by, "model.unload", name, address)

    async def withdraw(self, by: Principal, name: str, address: str) -> None:
        """Raises WorkspaceError, ModelHubError."""
        if name not in self._missing:
            await self.models.withdraw(name)
        await self._forget([name])
        await self._record(by, "model.withdraw", name, address)

    async def remove(self, by: Principal, model: str, unload: bool, address: str) -> None:
        """Raises WorkspaceError, ModelHubError."""
        if self.pulls.running(model) is not None:
            raise WorkspaceError(
                409,
                f"{model} is being pulled; cancel that first.",
                kind="conflict",
                code="hub_being_pulled",
                values={"model": model},
            )
        names = await self.models.remove(model, unload)
        await self._forget(names)
        await self._record(by, "model.remove", model, address)

    async def _arrived(self, pull: Pull, name: str) -> None:
        await self._offer(Offer(name, name, pull.revision))

    async def _offer(self, offer: Offer) -> None:
        await self.models.offer(offer)
        self._missing.pop(offer.name, None)
        await self._save({**self._offers, offer.name: offer})

    async def _forget(self, names: Sequence[str]) -> None:
        for name in names:
            self._missing.pop(name, None)
        await self._save({name: offer for name, offer in self._offers.items() if name not in names})

    async def _save(self, offers: dict[str, Offer]) -> None:
        async with self._db.write() as session:
            if offers:
                values = [asdict(offer) for offer in offers.values()]
                await session.merge(Setting(key=OFFERS, value={"value": values}, updated_at=now_ms()))
            else:
                await session.execute(delete(Setting).where(Setting.key == OFFERS))
        self._offers = offers

    async def _record(
        self, by: Principal, action: str, model: str, address: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        async with self._db.write() as session:
            record(session, by, action, target=("model", model), detail=detail, address=address)


def _read(stored: Mapping[str, Any]) -> list[Offer]:
    """What can be understood of a stored list."""
    found = []
    entries = stored.get("value")
    for entry in entries if isinstance(entries, list) else []:
        try:
            found.append(Offer(str(entry["model"]), str(entry["name"]), entry.get("revision")))
        except (KeyError, TypeError, AttributeError):
            _log.warning("a stored offer of a model is ignored: %r", entry)
    return found


def _missing(offer: Offer, why: ModelHubError) -> dict[str, Any]:
    return asdict(
        HubModel(
            id=offer.name,
            reference=offer.model,
            revision=offer.revision,
            path="",
            source="hub",
            format="",
            size=None,
            state="missing",
            offered=True,
            error=str(why),
            code=why.code,
            values=why.values,
            kept="missing",
        )
    )
