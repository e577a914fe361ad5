"""Whether models fit into memory, and why: for those who choose what to load."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pagoda.api.model_pool import ModelPool
from pagoda.api.served_model import ServedModel
from pagoda.engine.config import EngineConfig
from pagoda.engine.forecast import Forecast, ForecastError, forecast
from pagoda.hub import format_bytes
from pagoda.workspace.admin.model_hub import Fit

_STEP = 1 << 28  #: what is left of memory moves all the time; files are not read again for less

_MOST_KNOWN = 1000

_Known = Forecast | str  #: what a model needs, or why that cannot be told


class Fits:
    """Judges models of a pool, and such that could come into it. What files tell is read once."""

    def __init__(self, pool: ModelPool) -> None:
        self._pool = pool
        self._known: dict[tuple[bytes, tuple[int, ...], int | None], _Known] = {}

    async def needs(self, config: EngineConfig) -> Forecast:
        """What a model takes with the whole context that it was made for. Raises ForecastError."""
        return await self._read(msgspec.structs.replace(config, memory_limit_bytes=None), None)

    async def check(self, model: ServedModel) -> Sequence[str]:
        """Which models would be unloaded for this one. Raises ForecastError where it cannot be loaded."""
        needs = await self.needs(model.config)
        most = self._pool.most_bytes()
        if most is not None and needs.least_bytes > most:
            needs = await self._read(model.config, most)
        if model.forecast is None:
            model.forecast = needs
        return await self._pool.crowded_out(model)

    async def judge(self, model: ServedModel) -> Fit:
        """The verdict with its reason."""
        if model.info is not None:
            held = model.committed_bytes
            text = f"It is in memory and has {format_bytes(held)} reserved."
            return Fit("yes", "loaded", text, {"bytes": held})
        try:
            whole = await self.needs(model.config)
            others = await self.check(model)
        except ForecastError as error:
            return Fit("no", "refused", str(error))
        if others:
            return _with_others(others)
        context = None if model.forecast is None else model.forecast.max_model_len
        if context is not None and whole.max_model_len is not None and context < whole.max_model_len:
            text = f"It fits with a context of {context:,} tokens instead of {whole.max_model_len:,}."
            return Fit("tight", "context", text, {"context": context, "whole": whole.max_model_len})
        return _free(whole.least_bytes, self._pool.memory_left(), "free")

    def judge_size(self, size: int, disk_free: int | None) -> Fit:
        """Of a model that is not here, by the bytes of its files: about what its weights take."""
        if disk_free is not None and size > disk_free:
            text = (
                f"The download needs {format_bytes(size)} and {format_bytes(disk_free)} are free on the disk."
            )
            return Fit("no", "disk", text, {"bytes": size, "free": disk_free})
        most, left = self._pool.most_bytes(), self._pool.memory_left()
        if most is not None and size > most:
            text = (
                f"Its weights take about {format_bytes(size)} and {format_bytes(most)} of memory can be had."
            )
            return Fit("no", "weights", text, {"bytes": size, "free": most})
        if left is not None and size > left:
            resident = [model.name for model in self._pool.list() if model.loaded_llm is not None]
            return _with_others(resident)
        return _free(size, left, "weights")

    async def _read(self, config: EngineConfig, available: int | None) -> Forecast:
        step = None if available is None else available // _STEP
        key = (msgspec.json.encode(config), await asyncio.to_thread(_changed, config), step)
        known = self._known.get(key)
        if known is None:
            try:
                known = await asyncio.to_thread(forecast, config, available)
            except ForecastError as error:
                known = str(error)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = known
        if isinstance(known, str):
            raise ForecastError(known)
        return known


def _changed(config: EngineConfig) -> tuple[int, ...]:
    """Changes with the files of a model."""
    paths = [Path(path) for path in (config.model_path, config.lora) if path is not None]
    files = [*paths, *(file for path in paths if path.is_dir() for file in sorted(path.iterdir()))]
    return tuple(file.stat().st_mtime_ns for file in files if file.exists())


def _with_others(names: Sequence[str]) -> Fit:
    text = f"It fits when {' and '.join(names)} {'is' if len(names) == 1 else 'are'} unloaded."
    return Fit("tight", "others", text, {"names": list(names)})


def _free(needed: int, left: int | None, code: str) -> Fit:
    """code: "free", or "weights" where the cache is not known yet."""
    what = "It needs" if code == "free" else "Its weights take about"
    if left is None:
        return Fit("yes", code, f"{what} {format_bytes(needed)}.", {"bytes": needed, "free": None})
    text = f"{what} {format_bytes(needed)} and {format_bytes(left)} are free."
    return Fit("yes", code, text, {"bytes": needed, "free": left})
