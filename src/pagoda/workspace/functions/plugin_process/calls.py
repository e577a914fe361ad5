"""Runs calls: loads what they need, gives handlers their arguments, and tells what came of them."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pagoda.workspace.functions.frames import FrameError
from pagoda.workspace.functions.messages import (
    WINDOW,
    Call,
    Failure,
    Item,
    Result,
    Unknown,
)
from pagoda.workspace.functions.plugin_process.arguments import arguments_for, set_valves
from pagoda.workspace.functions.plugin_process.lanes import Interrupted, InThread, Lane, interrupt
from pagoda.workspace.functions.plugin_process.loader import (
    Loaded,
    LoadError,
    describe,
    line_of,
    load,
    schema,
    told,
)
from pagoda.workspace.functions.plugin_process.peer import CALL, Peer
from pagoda.workspace.functions.plugin_process.pipes import NonsenseError, SseLines, items_of

_MERCY_SECONDS = 0.25  #: between asking a handler to end and interrupting its thread


class Running:
    """One call on its way."""

    def __init__(self, call: Call, lane: Lane) -> None:
        self.call = call
        self.lane = lane
        self.task: asyncio.Task[None] | None = None
        self.threads = InThread()
        self.ended = threading.Event()
        self.reason = ""
        self._window = asyncio.Semaphore(WINDOW)
        self._thread_window = threading.Semaphore(WINDOW)

    def more(self, count: int) -> None:
        """The reader of a pipe's items has room again."""
        for _ in range(count):
            self._thread_window.release()
            self.lane.loop.call_soon_threadsafe(self._window.release)

    def wait_in_thread(self) -> None:
        self._thread_window.acquire()

    async def wait(self) -> None:
        await self._window.acquire()

    def cancel(self, reason: str) -> None:
        """Ends the call: kindly, then by interrupting whatever holds its loop."""
        self.reason = reason

        def ask() -> None:
            if self.task is not None:
                self.task.cancel()

        self.lane.loop.call_soon_threadsafe(ask)
        threading.Thread(target=self._insist, name="ending a call", daemon=True).start()

    def _insist(self) -> None:
        while not self.ended.wait(_MERCY_SECONDS):
            if self.lane.is_held():
                interrupt(self.lane.thread)


class Calls:
    """All calls of this process, and the functions that it has loaded."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        self._peer = peer
        self._folder = folder
        self._functions: dict[str, Loaded] = {}
        self._lanes: dict[str, Lane] = {}
        self._loading: dict[str, asyncio.Lock] = {}  # one instance, however many calls come at once
        self._running: dict[int, Running] = {}

    def begin(self, call: Call) -> None:
        known = self._functions.get(call.function_id)
        if call.content is None and (known is None or known.digest != call.digest):
            self._peer.send(Unknown(call.id))
            return
        lane = self._lanes.get(call.function_id)
        if lane is None:
            lane = self._lanes[call.function_id] = Lane(call.function_id)
        running = self._running[call.id] = Running(call, lane)
        token = CALL.set((call.function_id, call.id))
        lane.start(partial(self._run, running), partial(setattr, running, "task"))
        CALL.reset(token)

    def cancel(self, call_id: int, reason: str) -> None:
        if running := self._running.get(call_id):
            running.cancel(reason)

    def more(self, call_id: int, count: int) -> None:
        if running := self._running.get(call_id):
            running.more(count)

    async def _run(self, running: Running) -> None:
        call = running.call
        answer: Result | Failure
        try:
            answer = Result(call.id, await self._value(running))
        except BaseException as error:
            answer = self._failure(running, error)
        running.ended.set()
        self._running.pop(call.id, None)
        try:
            self._peer.send(answer)
        except FrameError as error:
            self._peer.send(Failure(call.id, "nonsense", f"What it returned is of no use: {error}."))

    def _failure(self, running: Running, error: BaseException) -> Failure:
        call = running.call
        if isinstance(error, LoadError):
            return Failure(call.id, "load", str(error), error.line)
        if isinstance(error, Interrupted | asyncio.CancelledError):
            return Failure(call.id, running.reason or "time", "It was ended.")
        if isinstance(error, NonsenseError | FrameError):
            return Failure(call.id, "nonsense", str(error))
        if isinstance(error, MemoryError):
            error.__traceback__ = None  # which holds what filled the memory
            return Failure(call.id, "memory", "It used more memory than functions may.")
        function = self._functions.get(call.function_id)
        line = None if function is None else line_of(error, function.path)
        # The text of an exception is for people: it is how a filter refuses a request.
        return Failure(call.id, "error", str(error) or told(error), line)

    async def _value(self, running: Running) -> Any:
        call = running.call
        function = await self._function(running)
        if call.hook == "describe":
            set_valves(function, call.valves)
            return await running.threads.run(partial(describe, function))
        if call.hook in ("schema", "user_schema"):
            name = "Valves" if call.hook == "schema" else "UserValves"
            user = call.arguments.get("__user__")
            return await running.threads.run(partial(schema, function.instance, name, user))
        if call.hook in ("validate", "user_validate"):
            name = "Valves" if call.hook == "validate" else "UserValves"
            model = getattr(function.instance, name)
            return model(**call.body).model_dump(mode="json", exclude_unset=True)
        set_valves(function, call.valves)
        handler = getattr(function.instance, call.hook)
        if call.hook == "pipes" and not callable(handler):
            return handler
        arguments = arguments_for(handler, function, call, self._peer)
        found = await invoke(running, handler, arguments)
        if call.hook == "pipe":
            return await self._pipe(running, found)
        if call.hook == "action":
            return _page_of(found)
        return found

    async def _function(self, running: Running) -> Loaded:
        call = running.call
        known = self._functions.get(call.function_id)
        if known is not None and known.digest == call.digest:
            return known
        async with self._loading.setdefault(call.function_id, asyncio.Lock()):
            known = self._functions.get(call.function_id)
            if known is None or known.digest != call.digest:
                work = partial(load, call.function_id, call.content or "", call.digest, self._folder)
                known = self._functions[call.function_id] = await running.threads.run(work)
            return known

    async def _pipe(self, running: Running, found: Any) -> None:
        """Sends what a pipe returned, item by item."""
        lines = SseLines(raw=hasattr(found, "body_iterator"))
        found = getattr(found, "body_iterator", found)
        if hasattr(found, "body") and hasattr(found, "status_code"):
            found = bytes(found.body)
        if isinstance(found, AsyncIterator) or hasattr(found, "__aiter__"):
            async for value in found:
                for item in items_of(value, lines):
                    await running.wait()
                    self._peer.send(Item(running.call.id, item))
        elif isinstance(found, Iterator) or _is_series(found):
            await running.threads.run(partial(self._drain, running, found, lines))
        else:
            for item in items_of(found, lines):
                self._peer.send(Item(running.call.id, {"raw": item["chunk"]} if "chunk" in item else item))
        for item in lines.end():
            self._peer.send(Item(running.call.id, item))

    def _drain(self, running: Running, values: Any, lines: SseLines) -> None:
        for value in values:
            for item in items_of(value, lines):
                running.wait_in_thread()
                self._peer.send(Item(running.call.id, item))


async def invoke(running: Running, handler: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Coroutines run in the function's loop, everything else in a thread."""
    if inspect.isasyncgenfunction(handler):
        return handler(**arguments)
    if inspect.iscoroutinefunction(handler):
        return await handler(**arguments)
    found = await running.threads.run(partial(handler, **arguments))
    return await found if inspect.isawaitable(found) else found


def _is_series(found: Any) -> bool:
    return (
        hasattr(found, "__iter__")
        and not isinstance(found, str | bytes | bytearray | dict)
        and not hasattr(found, "model_dump")
    )


def _page_of(found: Any) -> Any:
    """What an action may give: an object, or a page to show."""
    headers = getattr(found, "headers", None)
    if headers is not None and "inline" in headers.get("content-disposition", ""):
        return {"embed": bytes(found.body).decode("utf-8", "replace")}
    return found if isinstance(found, dict) else None
