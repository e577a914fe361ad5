"""What the page of this machine's models shows of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from pagoda.api.model_pool import ModelPool
from pagoda.api.served_model import ServedModel
from pagoda.cli.fits import Fits
from pagoda.engine.forecast import Forecast, ForecastError
from pagoda.engine.memory import total_bytes
from pagoda.hub import CATALOG, LocalModel, models_dir, pagoda_home
from pagoda.hub.hub_cache import cache_folder
from pagoda.hub.local import StoredModel
from pagoda.workspace.admin.model_hub import CatalogModel, HubModel, Memory


class HubView:
    """further: makes a served model of one on this disk and a name."""

    def __init__(
        self, pool: ModelPool, fits: Fits, further: Callable[[LocalModel, str], ServedModel]
    ) -> None:
        self._pool = pool
        self._fits = fits
        self._further = further

    async def served(
        self, model: ServedModel, stored: StoredModel | None, offered: bool, kept: str | None
    ) -> HubModel:
        """A model of the pool. stored: its files, where they are ours. kept: why those cannot be removed."""
        needs = await self._needs(model)
        info = model.info
        path = Path(model.config.lora or model.config.model_path)
        return HubModel(
            id=model.name,
            reference=model.name if stored is None else stored.id,
            revision=None if stored is None else stored.revision,
            path=str(path),
            source="given" if stored is None or model.parent is not None else stored.source,
            format=_format(path),
            size=None if stored is None or model.parent is not None else stored.size,
            parameters=None if needs is None else needs.parameters,
            architecture=None if needs is None else needs.architecture,
            runner=None if needs is None else needs.runner,
            context=model.max_model_len or (None if needs is None else needs.max_model_len),
            state=_state(model),
            needs=None if needs is None else needs.least_bytes,
            held=model.committed_bytes if info is not None else 0,
            fit=await self._fits.judge(model),
            default=model is self._pool.default,
            offered=offered,
            parent=model.parent,
            answering=model.leases,
            error=model.failure if info is None else None,
            kept=kept,
        )

    async def stored(self, stored: StoredModel) -> HubModel:
        """A model that is on the disk and not served."""
        model = self._further(LocalModel(stored.path, stored.id, stored.source), stored.id)
        needs = await self._needs(model)
        return HubModel(
            id=stored.id,
            reference=stored.reference,
            revision=stored.revision,
            path=str(stored.path),
            source=stored.source,
            format=_format(stored.path),
            size=stored.size,
            parameters=None if needs is None else needs.parameters,
            architecture=None if needs is None else needs.architecture,
            runner=None if needs is None else needs.runner,
            context=None if needs is None else needs.max_model_len,
            state="disk",
            needs=None if needs is None else needs.least_bytes,
            fit=await self._fits.judge(model),
        )

    def catalog(self, present: Collection[str], disk_free: int | None) -> list[CatalogModel]:
        """present: names of those on the disk."""
        return [
            CatalogModel(
                name=entry.name,
                description=entry.description,
                licence=entry.licence,
                size=entry.size,
                present=entry.name in present,
                fit=self._fits.judge_size(entry.size, None if entry.name in present else disk_free),
            )
            for entry in CATALOG
        ]

    def memory(self, disk_free: int | None) -> Memory:
        limits = self._pool.limits
        return Memory(
            total=total_bytes(),
            available=self._pool.memory_left(),
            used_by_models=sum(model.committed_bytes for model in self._pool.list()),
            limit=limits.memory_bytes,
            max_loaded=limits.max_loaded,
            disk_free=disk_free,
        )

    async def _needs(self, model: ServedModel) -> Forecast | None:
        try:
            return await self._fits.needs(model.config)
        except ForecastError:
            return None  # its fit says why


def disk_free() -> int | None:
    """The least that is free where downloads go."""
    free = []
    for folder in (models_dir(pagoda_home()), cache_folder(os.environ)):
        there = next((place for place in (folder, *folder.parents) if place.exists()), None)
        if there is not None:
            free.append(shutil.disk_usage(there).free)
    return min(free, default=None)


def _state(model: ServedModel) -> str:
    if model.leaving and model.residence == "loaded":
        return "unloading"
    return model.residence


def _format(path: Path) -> str:
    return "GGUF" if path.suffix.lower() == ".gguf" else "safetensors"
