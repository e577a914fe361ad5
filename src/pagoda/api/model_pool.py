"""The models behind one server, by the names that requests give: loaded when they are asked for, unloaded
when they have been idle for long or when another one needs the room (residency.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from pagoda.api.errors import ApiError, unavailable
from pagoda.api.residency import PoolLimits, Residency
from pagoda.api.served_model import Lease, Residence, ServedModel
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.config import EngineConfig, EngineInfo

__all__ = ["Lease", "ModelPool", "ModelStatus", "PoolLimits", "ServedModel"]

_log = logging.getLogger(__name__)

KEEP_ALIVE = 300.0  #: seconds that a model loaded on demand stays without a request, unless told otherwise
SLEEP_TAGS = frozenset({"weights", "kv_cache"})  #: what vLLM's /wake_up can wake by itself


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What the pool tells of a model. bytes: reserved for weights and cache, 0 while it is not loaded.
    failure: why the last attempt to load it failed.
    """

    name: str
    residence: Residence
    leases: int
    bytes: int
    idle_seconds: float
    failure: str | None


class ModelPool:
    """All models of a server; the first is the default one, which is loaded by `start`.

    launch: how an engine is started. All methods belong to one event loop.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        limits: PoolLimits | None = None,
        launch: Callable[[EngineConfig], AsyncLLM] = AsyncLLM.launch,
    ) -> None:
        self.limits = limits or PoolLimits()
        self._models = list(models)
        self._residency = Residency(self.limits, launch)
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._foreseeing: dict[ServedModel, asyncio.Task[None]] = {}
        self._loads: dict[ServedModel, asyncio.Task[None]] = {}
        self._timers: dict[ServedModel, asyncio.TimerHandle] = {}
        self._asleep: frozenset[str] = frozenset()  # the tags that are still to be woken
        self._sleepers: list[ServedModel] = []
        # Of the running task: who holds a model must get it again, or its leaving would wait for ever.
        self._held: ContextVar[tuple[ServedModel, ...]] = ContextVar("models held", default=())

    @property
    def default(self) -> ServedModel:
        return self._models[0]

    def list(self) -> list[ServedModel]:
        """In the order of the command line, then adapters as they came."""
        return list(self._models)

    def find(self, name: str | None) -> ServedModel:
        """The model of that name, the default one for no name. Raises ApiError 404."""
        if not name:
            return self.default
        for model in self._models:
            if name in model.names:
                return model
        raise ApiError(404, f"The model `{name}` does not exist.", param="model")

    def status(self) -> Sequence[ModelStatus]:
        """Of every model, in the order of `list`."""
        now = time.monotonic()
        return [
            ModelStatus(
                model.name,
                model.residence,
                model.leases,
                model.committed_bytes,
                0.0 if model.leases else now - model.idle_since,
                model.failure,
            )
            for model in self._models
        ]

    def add(self, model: ServedModel) -> None:
        """Serves one more model, on demand. Raises ValueError for a name in use."""
        taken = {name for other in self._models for name in other.names}
        for name in model.names:
            if name in taken:
                raise ValueError(f"the name {name!r} is in use")
        self._models.append(model)
        self._foresee(model)

    def remove(self, name: str) -> None:
        """Serves a model no more; what runs on it ends first. Raises ApiError 404, ValueError for the default
        one.
        """
        model = self.find(name)
        if model is self.default:
            raise ValueError("the default model cannot be removed")
        self._models.remove(model)
        model.removed = True
        self._spawn(self._leave(model))

    async def prepare(self, model: ServedModel) -> None:
        """Loads the tokenizer of a model that is to be added, as `start` does for those that are there; one
        that cannot be loaded says so when the model is.
        """
        await self._residency.prepare([model])

    async def crowded_out(self, model: ServedModel) -> Sequence[str]:
        """Which models would be unloaded for this one, which need not be served yet."""
        await self._residency.foresee(model)
        return [other.name for other in self._residency.crowded_out(model)]

    def memory_left(self) -> int | None:
        """Bytes for one more model; None where nothing bounds it."""
        return self._residency.memory_left()

    def most_bytes(self) -> int | None:
        """Bytes that one model could have if the others were unloaded; None where nothing bounds it."""
        return self._residency.most_bytes()

    async def start(self, on_progress: Callable[[int, int], None] | None = None) -> EngineInfo:
        """Loads the default model. Raises EngineStartError."""
        prepared = asyncio.create_task(self._residency.prepare(self._models[1:]))
        try:
            info = await self._residency.start(self.default, on_progress)
            await prepared
        finally:
            prepared.cancel()
        self._idle(self.default)
        for model in self._models[1:]:
            self._foresee(model)
        return info

    def check_started(self) -> None:
        """Raises ApiError 503 before the default model has been loaded, and when it has failed for good."""
        llm = self.default.loaded_llm
        if llm is not None and llm.status == "dead":
            raise unavailable(f"The engine has stopped: {llm.status_reason or 'see the log'}.")
        if not self.default.was_loaded and (llm is None or llm.status == "starting"):
            raise unavailable("The model is still loading; try again in a moment.")

    async def wait_foreseen(self) -> None:
        """Waits until the contexts of all models are known, which takes a moment for a new model."""
        if self._foreseeing:
            await asyncio.wait(self._foreseeing.values())

    def close(self) -> None:
        """Lets no request wait any longer: the server ends."""
        self._closing.set()

    async def shutdown(self) -> None:
        """Ends every engine; running requests end with finish_reason "abort"."""
        self.close()
        for timer in self._timers.values():
            timer.cancel()
        tasks = [*self._tasks, *self._loads.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(model.end() for model in {*self._models, *self._residency.resident}))

    async def lease(self, name: str | None) -> Lease:
        """Loads the model if it must and keeps it loaded. Raises ApiError 404; 503 where it cannot be had.

        A degraded engine takes requests and answers them when it is back.
        """
        model = self.find(name)
        return self._lease_now(model) or await self._lease_later(model)

    async def load(self, name: str) -> None:
        """Loads a model and takes no lease. Raises ApiError 404, 503."""
        (await self.lease(name)).release()

    async def unload(self, name: str) -> None:
        """Unloads a model as soon as what runs on it has ended; the next request loads it again. Raises
        ApiError 404.
        """
        await self._residency.unload(self.find(name))

    @property
    def is_sleeping(self) -> bool:
        return bool(self._asleep)

    async def sleep(self, level: int, *, abort: bool = True) -> None:
        """Ends every engine and so frees its memory; requests get a 503 until `wake_up`.

        abort: ends the running requests, instead of waiting for them. level: 1 and 2 do the same, as weights
        come back from the disk.
        """
        self._asleep = SLEEP_TAGS
        for model in self.list():
            if model.loaded_llm is not None:
                await (self._residency.end(model) if abort else self._residency.unload(model))
                model.residence = "sleeping"
                self._sleepers.append(model)
            model.sleep_level = level

    async def wake_up(self, tags: Sequence[str] = ()) -> None:
        """Loads again what slept. With tags, requests are served when all of SLEEP_TAGS have been woken.

        Raises ApiError 503 for a model that cannot be loaded.
        """
        if not self._asleep:
            return
        asleep: frozenset[str] = self._asleep - frozenset(tags) if tags else frozenset()
        for model in self._sleepers:
            if model in self._models:
                await self._residency.load(model)
                self._idle(model)
        self._sleepers.clear()
        self._asleep = asleep
        if not asleep:
            for model in self._models:
                model.sleep_level = 0

    def _lease_now(self, model: ServedModel) -> Lease | None:
        if self._asleep:
            raise unavailable("The server sleeps; POST /wake_up wakes it.")
        llm = model.loaded_llm
        held = self._held.get()
        if llm is None or (model.leaving and not model.expected and model not in held):
            return None
        if llm.status in ("ready", "degraded"):
            model.leases += 1
            if model not in held:
                self._held.set((*held, model))
            return Lease(model, self._released)
        if model is self.default:
            self.check_started()
        return None

    async def _lease_later(self, model: ServedModel) -> Lease:
        deadline = time.monotonic() + self.limits.load_timeout
        model.waiting += 1
        try:
            while True:
                await self._wait_loaded(model, deadline - time.monotonic())
                if (lease := self._lease_now(model)) is not None:
                    return lease
        finally:
            model.waiting -= 1
            if model.expected:
                model.expected -= 1
                self._note_use(model)

    async def _wait_loaded(self, model: ServedModel, seconds: float) -> None:
        """Waits until an attempt to load the model is over. Raises ApiError 503."""
        task = self._loads.get(model)
        if task is None:
            task = self._loads[model] = asyncio.create_task(self._load(model), name="pagoda-load")
            task.add_done_callback(_look_at)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({task, closing}, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing.cancel()
        if self._closing.is_set():
            raise unavailable("The server is shutting down.")
        if not task.done():
            why = "is still loading" if model.loaded_llm is not None else "waits for others to be unloaded"
            raise unavailable(f"The model `{model.name}` {why}; try again later.", retry_after=10)
        task.result()

    async def _load(self, model: ServedModel) -> None:
        try:
            await self._residency.load(model)
            self._idle(model)
        finally:
            del self._loads[model]

    def _released(self, model: ServedModel) -> None:
        model.leases -= 1
        self._note_use(model)

    def _note_use(self, model: ServedModel) -> None:
        if not model.in_use:
            self._idle(model)
            self._residency.released()

    def _idle(self, model: ServedModel) -> None:
        """Notes that nobody uses the model from now on, and sees to it that it goes in time."""
        model.idle_since = time.monotonic()
        keep_alive = self._keep_alive(model)
        if keep_alive >= 0 and model not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[model] = loop.call_later(keep_alive, self._expire, model)

    def _expire(self, model: ServedModel) -> None:
        """Unloads a model whose time is over; where it was used meanwhile, its time begins anew."""
        del self._timers[model]
        if model.in_use or model.loaded_llm is None:
            return  # the end of the last lease, or the next load, starts the clock
        left = model.idle_since + self._keep_alive(model) - time.monotonic()
        if left > 0:
            loop = asyncio.get_running_loop()
            self._timers[model] = loop.call_later(left, self._expire, model)
        else:
            self._spawn(self._residency.unload_idle(model, self._keep_alive(model)))

    def _keep_alive(self, model: ServedModel) -> float:
        if self.limits.keep_alive is not None:
            return self.limits.keep_alive
        return -1.0 if model is self.default else KEEP_ALIVE

    async def _leave(self, model: ServedModel) -> None:
        await self._residency.unload(model)
        if all(other.config.model_path != model.config.model_path for other in self._models):
            self._residency.forget(model)

    def _foresee(self, model: ServedModel) -> None:
        if model not in self._foreseeing:
            task = self._foreseeing[model] = self._spawn(self._residency.foresee(model))
            task.add_done_callback(lambda _task: self._foreseeing.pop(model))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("work on the models failed", exc_info=error)


def _look_at(task: asyncio.Task[None]) -> None:
    """Those who waited may all have gone: nobody else asks what became of it."""
    if not task.cancelled():
        task.exception()
