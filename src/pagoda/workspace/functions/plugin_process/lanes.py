"""Threads in which functions run, and how one of them is interrupted.

Every function has an event loop in a thread of its own, so that one that blocks its loop holds up itself
alone; its synchronous handlers run in threads too. An exception raised into a thread ends a loop of Python
code. Code that never returns to Python is ended by the server, with the process.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Value = TypeVar("Value")


class Interrupted(BaseException):
    """Raised inside a handler that has to end; `except Exception` does not stop it."""


def interrupt(thread: threading.Thread) -> None:
    """Raises Interrupted in a thread as soon as it runs Python code."""
    if thread.ident is not None and thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(Interrupted)
        )


class Lane:
    """One function's event loop, in its own thread."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def start(self, make: Callable[[], Coroutine[Any, Any, None]], begun: Callable[[Any], None]) -> None:
        """Begins a task in the loop, in the caller's context; `begun` gets it there."""
        context = contextvars.copy_context()

        def begin() -> None:
            begun(self.loop.create_task(make(), context=context))

        self.loop.call_soon_threadsafe(begin)

    def is_held(self) -> bool:
        """Whether a task is at work at this moment."""
        return asyncio.current_task(self.loop) is not None

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
            except BaseException:  # noqa: S112 - an interruption that came late, or SystemExit of a function
                continue


class InThread:
    """Runs synchronous handlers of one call, and can interrupt the one that runs."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[], Value]) -> Value:
        """Waits for `work` in a new thread. When the waiter is cancelled the thread is interrupted and its
        end awaited: a call has not ended while its thread runs.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Value] = loop.create_future()
        context = contextvars.copy_context()

        def tell(value: Value | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(value)  # type: ignore[arg-type]
            elif isinstance(error, StopIteration):
                future.set_exception(RuntimeError("a handler raised StopIteration"))
            else:
                future.set_exception(error)

        def body() -> None:
            try:
                value = context.run(work)
            except BaseException as error:
                loop.call_soon_threadsafe(tell, None, error)
            else:
                loop.call_soon_threadsafe(tell, value, None)

        thread = threading.Thread(target=body, name="handler", daemon=True)
        self._thread = thread
        thread.start()
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            while not future.done():
                interrupt(thread)
                await asyncio.wait({future}, timeout=0.1)
            raise
        finally:
            self._thread = None
            if future.done() and not future.cancelled():
                future.exception()  # seen
