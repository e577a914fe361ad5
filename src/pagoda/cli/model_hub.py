"""The models of a server and of its disk, for the administrators of a workspace (a `ModelHub`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from pagoda.api.errors import ApiError
from pagoda.api.model_pool import ModelPool
from pagoda.api.served_model import ServedModel
from pagoda.cli.fits import Fits
from pagoda.cli.hub_view import HubView, disk_free
from pagoda.cli.pull_client import pull_apart, sentence
from pagoda.engine.forecast import ForecastError
from pagoda.hub import HubError, LocalModel, SilentProgress, resolve
from pagoda.hub.local import StoredModel, remove_stored, stored_models
from pagoda.hub.resolve import pullable_name
from pagoda.workspace.admin.model_hub import (
    HubOverview,
    ModelHubError,
    Offer,
    PullNews,
)

UNLOAD_SECONDS = 30.0  #: that removing a model waits for what runs on it

_log = logging.getLogger(__name__)


class PooledModels:
    """further: makes a served model of one on this disk and a name. offline: nothing may be fetched."""

    def __init__(
        self, pool: ModelPool, further: Callable[[LocalModel, str], ServedModel], *, offline: bool
    ) -> None:
        self._pool = pool
        self._further = further
        self._offline = offline
        self._fits = Fits(pool)
        self._view = HubView(pool, self._fits, further)
        self._offers: dict[str, Offer] = {}
        self._work: set[asyncio.Task[None]] = set()

    async def overview(self) -> HubOverview:
        stored = await asyncio.to_thread(stored_models)
        by_path = {str(model.path): model for model in stored}
        models, paths = [], set()
        for model in self._pool.list():
            path = model.config.model_path
            paths.add(path)
            found, offered = by_path.get(path), model.name in self._offers
            models.append(await self._view.served(model, found, offered, self._kept(model, found)))
        models += [await self._view.stored(each) for each in stored if str(each.path) not in paths]
        free = disk_free()
        present = {model.id for model in stored if model.source == "catalog"}
        catalog = self._view.catalog(present, free)
        return HubOverview(models, catalog, self._view.memory(free), self._offline)

    def plain_name(self, model: str, revision: str | None) -> tuple[str, str | None]:
        try:
            found = pullable_name(model, revision)
        except HubError as error:
            raise _told(error, 400) from error
        if self._offline:
            raise ModelHubError(
                "The server was started with --offline, so nothing is fetched.", code="hub_offline"
            )
        return found

    def pull(self, model: str, revision: str | None) -> AsyncGenerator[PullNews, None]:
        return pull_apart(model, revision)

    async def offer(self, offer: Offer, *, at_start: bool = False) -> None:
        found = await asyncio.to_thread(_resolve, offer)
        model = self._further(found, offer.name)
        old = self._named(offer.name)
        if old is not None:
            if old.config.model_path == model.config.model_path or offer.name not in self._offers:
                return  # it is served as it is; what the command line says goes first
            self._pool.remove(offer.name)
        if not at_start:
            try:
                await self._fits.needs(model.config)
            except ForecastError as error:
                raise ModelHubError(
                    f"{offer.name} is here and cannot be served: {error}",
                    code="hub_not_served",
                    values={"model": offer.name, "reason": str(error)},
                ) from error
            await self._pool.prepare(model)
        try:
            self._pool.add(model)
        except ValueError as error:
            raise ModelHubError(
                f"{offer.name} cannot be offered: {error}.",
                code="hub_not_served",
                values={"model": offer.name, "reason": str(error)},
            ) from error
        self._offers[offer.name] = offer

    def offered(self) -> frozenset[str]:
        return frozenset(self._offers)

    async def withdraw(self, name: str) -> None:
        model = self._served(name)
        if name not in self._offers:
            raise ModelHubError(
                f"{name} is served by the command line; leave it out there.",
                code="hub_command_line",
                values={"model": name},
            )
        self._check_no_adapters(model)
        self._pool.remove(name)
        del self._offers[name]

    async def check_load(self, model: str, make_room: bool) -> Offer | None:
        served, offer = self._named(model), None
        if served is None:
            stored = await self._stored(model)
            served = self._pool_model_of(stored)
            if served is None:
                offer = Offer(stored.reference, stored.id, stored.revision)
                if stored.source == "folder":
                    offer = Offer(stored.reference, stored.path.stem, None)
                served = self._further(await asyncio.to_thread(_resolve, offer), offer.name)
        if self._pool.is_sleeping:
            raise ModelHubError("The server sleeps; POST /wake_up wakes it.", code="hub_sleeps")
        if served.loaded_llm is not None:
            return offer
        try:
            others = await self._fits.check(served)
        except ForecastError as error:
            raise ModelHubError(
                f"{served.name} cannot be loaded: {error}",
                code="hub_not_loaded",
                values={"model": served.name, "reason": str(error)},
            ) from error
        if others and not make_room:
            names = " and ".join(others)
            raise ModelHubError(f"Loading {served.name} unloads {names}.", kind="needs_room")
        return offer

    def begin_load(self, name: str) -> None:
        self._spawn(self._pool.load(self._served(name).name))

    def begin_unload(self, name: str) -> None:
        self._spawn(self._pool.unload(self._served(name).name))

    async def remove(self, model: str, unload: bool) -> list[str]:
        served = self._named(model)
        if served is None:
            stored: StoredModel | None = await self._stored(model)
            served = None if stored is None else self._pool_model_of(stored)
        else:
            found = await asyncio.to_thread(stored_models)
            path = served.config.model_path
            stored = next((each for each in found if str(each.path) == path), None)
        kept = None if served is None else self._kept(served, stored)
        if stored is None or kept is not None:
            raise ModelHubError(f"{model} cannot be removed: {_WHY_KEPT[kept or 'given']}.")
        names = []
        if served is not None:
            names = [served.name]
            await self._make_idle(served, unload)
            await self.withdraw(served.name)
        try:
            await asyncio.to_thread(remove_stored, stored)
        except HubError as error:
            raise _told(error, 409) from error
        return names

    async def stop(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    async def _make_idle(self, served: ServedModel, unload: bool) -> None:
        if served.loaded_llm is None:
            return
        if not unload:
            raise ModelHubError(f"{served.name} is in memory; unload it first.", kind="loaded")
        try:
            await asyncio.wait_for(self._pool.unload(served.name), UNLOAD_SECONDS)
        except TimeoutError as error:
            raise ModelHubError(
                f"Answers still run on {served.name}; try again later.",
                code="hub_answering",
                values={"model": served.name},
            ) from error

    def _kept(self, model: ServedModel, stored: StoredModel | None) -> str | None:
        """Why its files are not removed; see _WHY_KEPT."""
        if model is self._pool.default:
            return "default"
        if model.parent is not None or stored is None:
            return "given"
        if model.name not in self._offers or self._others_on(model):
            return "command_line"
        return "adapters" if self._adapters(model) else None

    def _others_on(self, model: ServedModel) -> bool:
        """Whether the same files are served by another name."""
        path = model.config.model_path
        return any(
            other is not model and other.parent is None and other.config.model_path == path
            for other in self._pool.list()
        )

    def _adapters(self, model: ServedModel) -> list[str]:
        return [other.name for other in self._pool.list() if other.parent == model.name]

    def _check_no_adapters(self, model: ServedModel) -> None:
        adapters = self._adapters(model)
        if adapters:
            raise ModelHubError(
                f"{' and '.join(adapters)} is made of {model.name}; unload that adapter first.",
                code="hub_adapters",
                values={"model": model.name, "adapters": ", ".join(adapters)},
            )

    def _named(self, name: str) -> ServedModel | None:
        return next((model for model in self._pool.list() if name in model.names), None)

    def _served(self, name: str) -> ServedModel:
        found = self._named(name)
        if found is None:
            raise ModelHubError(f"{name} is not served.", 404, code="hub_gone", values={"model": name})
        return found

    async def _stored(self, model_id: str) -> StoredModel:
        for stored in await asyncio.to_thread(stored_models):
            if stored.id == model_id:
                return stored
        raise ModelHubError(
            f"There is no model {model_id} on this disk.", 404, code="hub_gone", values={"model": model_id}
        )

    def _pool_model_of(self, stored: StoredModel) -> ServedModel | None:
        path = str(stored.path)
        models = self._pool.list()
        return next((each for each in models if each.config.model_path == path and each.parent is None), None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._work.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, ApiError):
            _log.warning("%s", error.message)  # the overview tells it too
        elif error is not None:
            _log.error("work on the models failed", exc_info=error)


_WHY_KEPT = {
    "default": "it is the model that this server was started with",
    "given": "its files are not in a folder that Pagoda keeps, and were given on the command line",
    "command_line": "it is served by the command line; leave it out there first",
    "adapters": "an adapter that is served is made of it",
}


def _told(error: HubError, status: int) -> ModelHubError:
    return ModelHubError(sentence(str(error)), status, code=error.code, values=error.values)


def _resolve(offer: Offer) -> LocalModel:
    try:
        return resolve(offer.model, progress=SilentProgress(), offline=True, revision=offer.revision)
    except HubError as error:
        raise _told(error, 404) from error
