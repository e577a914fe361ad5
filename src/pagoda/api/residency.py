"""Which models are in memory: engines are started when a model is wanted and ended when another one needs
the room.

Loads and unloads follow one after another. A model with leases is never unloaded: where another one waits for
its room, it takes no new requests, ends those that run, and is loaded again for the new ones afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pagoda.api.errors import ApiError, unavailable
from pagoda.api.pool_memory import Holding, memory_left
from pagoda.api.served_model import ServedModel
from pagoda.engine.async_llm import AsyncLLM, EngineStartError, load_text
from pagoda.engine.config import EngineConfig, EngineInfo
from pagoda.engine.forecast import Forecast, ForecastError, forecast

if TYPE_CHECKING:
    from pagoda.engine.text_tools import TextTools

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0  #: a model that could not be loaded is not tried again before


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """keep_alive: seconds that a model without requests stays loaded; negative means for ever. None: the
    first model for ever, others five minutes. max_loaded: models in memory at a time. memory_bytes: for
    weights and caches of all models together, beside what the machine has. load_timeout: seconds that a
    request waits for its model.
    """

    keep_alive: float | None = None
    max_loaded: int | None = None
    memory_bytes: int | None = None
    load_timeout: float = 300.0


class Residency:
    """Loads and unloads models within the limits. launch: how an engine is started."""

    def __init__(self, limits: PoolLimits, launch: Callable[[EngineConfig], AsyncLLM]) -> None:
        self._limits = limits
        self._launch = launch
        self._resident: list[ServedModel] = []
        self._changing = asyncio.Lock()
        self._freed = asyncio.Event()
        self._texts: dict[tuple[str, int, str | None], TextTools] = {}  # kept over unloading

    async def start(
        self, model: ServedModel, on_progress: Callable[[int, int], None] | None = None
    ) -> EngineInfo:
        """Loads the first model, whose engine may have been launched before. Raises EngineStartError."""
        async with self._changing:
            if model.loaded_llm is None:
                self._start_engine(model)
            self._resident.append(model)
            model.residence = "loading"
            info = await model.llm.wait_ready(on_progress)
            self._keep_text(model)
            model.residence, model.was_loaded = "loaded", True
            return info

    async def prepare(self, models: Iterable[ServedModel]) -> None:
        """Loads the tokenizers of models that are to be loaded on demand. Large ones hold up the whole server
        while they load, so that happens before anybody is served; those that fail tell it when they are
        needed.
        """
        for model in models:
            if _text_key(model.config) not in self._texts:
                try:
                    text = await asyncio.to_thread(load_text, model.config)
                except EngineStartError:
                    continue
                self._texts[_text_key(model.config)] = text

    async def load(self, model: ServedModel) -> None:
        """Loads a model unless it is. Raises ApiError 503 with the reason why it cannot be."""
        if model.failure is not None and time.monotonic() - model.failed_at < RETRY_SECONDS:
            raise _load_error(model)
        async with self._changing:
            llm = model.loaded_llm
            if llm is not None and llm.status == "dead":
                model.fail(llm.status_reason or "its engine has stopped")
                await self._discard(model)
                raise _load_error(model)
            if model.removed:
                raise ApiError(404, f"The model `{model.name}` does not exist.", param="model")
            if llm is None:
                await self._make_room(model)
                await self._launch_in(model)

    async def unload(self, model: ServedModel) -> None:
        """Unloads a model as soon as its leases have ended."""
        async with self._changing:
            await self._wait_idle(model)
            await self._unload(model)

    async def unload_idle(self, model: ServedModel, seconds: float) -> None:
        """Unloads a model if it has had no leases for so long."""
        async with self._changing:
            if not model.in_use and time.monotonic() - model.idle_since >= seconds:
                await self._unload(model)

    async def end(self, model: ServedModel) -> None:
        """Unloads a model at once; requests that run end with finish_reason "abort"."""
        async with self._changing:
            await self._unload(model)

    def released(self) -> None:
        """To be called when a model is not in use any more."""
        self._freed.set()

    @property
    def resident(self) -> Sequence[ServedModel]:
        """The models that have an engine."""
        return tuple(self._resident)

    def memory_left(self) -> int | None:
        """Bytes for one more model."""
        holdings = [
            Holding(model.committed_bytes, model.info.pid if model.info is not None else 0)
            for model in self._resident
        ]
        return memory_left(holdings, self._limits.memory_bytes)

    def crowded_out(self, model: ServedModel) -> list[ServedModel]:
        """Those that would be unloaded for a model, the first one first; see `load`."""
        resident = [other for other in self._resident if other is not model]
        if len(resident) < len(self._resident):
            return []
        found = []
        left, most = self.memory_left(), self._limits.max_loaded
        least = 0 if model.forecast is None else model.forecast.least_bytes
        while resident and (
            (most is not None and len(resident) >= most) or (left is not None and least > left)
        ):
            victim = _victim(resident)
            resident.remove(victim)
            found.append(victim)
            left = None if left is None else left + victim.committed_bytes
        return found

    def most_bytes(self) -> int | None:
        """Memory that one model could have if it were alone; None where nothing bounds it."""
        left = self.memory_left()
        return None if left is None else left + sum(other.committed_bytes for other in self._resident)

    def forget(self, model: ServedModel) -> None:
        """Drops what is kept for the next time that a model is loaded."""
        self._texts.pop(_text_key(model.config), None)

    async def foresee(self, model: ServedModel) -> None:
        """Finds out what a model will need, once. Leaves open what its files do not tell: loading says it."""
        if model.forecast is not None:
            return
        try:
            model.forecast = await asyncio.to_thread(forecast, model.config, self.most_bytes())
        except ForecastError as error:
            _log.warning("%s: %s", model.name, error)
            model.forecast = Forecast(None, 0)

    async def _launch_in(self, model: ServedModel) -> None:
        # In this thread: an engine dies with the thread that started it.
        try:
            self._start_engine(model)
            model.residence = "loading"
            self._resident.append(model)
            await model.llm.wait_ready()
            self._keep_text(model)
        except (EngineStartError, OSError) as error:
            model.fail(str(error))
            _log.warning("%s cannot be loaded: %s", model.name, error)
            await self._discard(model)
            raise _load_error(model) from error
        except BaseException:  # the server ends
            await self._discard(model)
            raise
        model.residence, model.was_loaded, model.failure = "loaded", True, None
        model.expected = model.waiting  # they have it before the next load can take it from them
        _log.info("loaded %s", model.name)

    def _start_engine(self, model: ServedModel) -> None:
        llm = self._launch(self._limited(model.config))
        text = self._texts.get(_text_key(model.config))
        if text is not None:
            llm.use_text(text)
        model.put(llm)

    def _keep_text(self, model: ServedModel) -> None:
        text = model.llm.text
        if text is not None:
            self._texts[_text_key(model.config)] = text

    def _limited(self, config: EngineConfig) -> EngineConfig:
        bounds = (self.memory_left(), config.memory_limit_bytes)
        limit = min((bound for bound in bounds if bound is not None), default=None)
        return msgspec.structs.replace(config, memory_limit_bytes=limit)

    async def _make_room(self, model: ServedModel) -> None:
        """Unloads others, least recently used first, until the model fits or is alone: then its engine says
        what it lacks.
        """
        await self.foresee(model)
        try:
            while self._resident and not self._fits(model):
                victim = _victim(self._resident)
                victim.leaving = True
                if victim.in_use:
                    self._freed.clear()
                    await self._freed.wait()
                else:
                    await self._unload(victim)
        finally:
            for other in self._resident:
                other.leaving = False

    def _fits(self, model: ServedModel) -> bool:
        if self._limits.max_loaded is not None and len(self._resident) >= self._limits.max_loaded:
            return False
        left = self.memory_left()
        return left is None or model.forecast is None or model.forecast.least_bytes <= left

    async def _wait_idle(self, model: ServedModel) -> None:
        model.leaving = True
        try:
            while model.in_use:
                self._freed.clear()
                await self._freed.wait()
        finally:
            model.leaving = False

    async def _unload(self, model: ServedModel) -> None:
        if model.loaded_llm is not None:
            await self._discard(model)
            _log.info("unloaded %s", model.name)

    async def _discard(self, model: ServedModel) -> None:
        llm = model.take_away()
        if llm is None:
            return
        model.residence = "unloading"
        try:
            await llm.shutdown()
        finally:
            model.residence, model.leaving = "unloaded", False
            if model in self._resident:
                self._resident.remove(model)


def _victim(resident: Sequence[ServedModel]) -> ServedModel:
    idle = [other for other in resident if not other.in_use]
    return min(idle or resident, key=lambda other: other.idle_since)


def _text_key(config: EngineConfig) -> tuple[str, int, str | None]:
    """What a tokenizer and its template depend on."""
    path = Path(config.tokenizer or config.model_path)
    file = path / "tokenizer.json" if path.is_dir() else path
    changed = file.stat().st_mtime_ns if file.exists() else 0
    return str(path), changed, config.chat_template


def _load_error(model: ServedModel) -> ApiError:
    message = f"The model `{model.name}` cannot be loaded: {model.failure}"
    return unavailable(message, retry_after=math.ceil(RETRY_SECONDS))
