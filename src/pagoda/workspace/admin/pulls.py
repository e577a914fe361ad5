"""Downloads of models: each a task of the server that goes on when nobody looks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Literal

from pagoda.workspace.admin.model_hub import ModelHub, ModelHubError
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.storage.values import new_id, now_ms

State = Literal["running", "done", "failed", "cancelled"]

MOST_AT_A_TIME = 3
KEPT = 20  #: that have ended

_log = logging.getLogger(__name__)


class Pull:
    """A download; `news` follows it."""

    def __init__(self, model: str, revision: str | None) -> None:
        self.id = new_id()
        self.model = model
        self.revision = revision
        self.state: State = "running"
        self.step: str | None = None
        self.done = 0
        self.total: int | None = None
        self.message: str | None = None
        self.error: WorkspaceError | None = None
        self.name: str | None = None
        self.started_at = now_ms()
        self._began = time.monotonic()
        self._seconds: float | None = None
        self._changed = asyncio.Event()

    def shown(self) -> dict[str, Any]:
        """As the page gets it. name: what it is served by, when it is here."""
        seconds = time.monotonic() - self._began if self._seconds is None else self._seconds
        return {
            "id": self.id,
            "model": self.model,
            "revision": self.revision,
            "state": self.state,
            "file": self.step,
            "bytes_done": self.done,
            "bytes_total": self.total,
            "seconds": round(seconds, 3),
            "message": self.message,
            "error": None if self.error is None else str(self.error),
            "code": None if self.error is None else self.error.code,
            "values": {} if self.error is None else self.error.values,
            "name": self.name,
            "started_at": self.started_at,
        }

    async def news(self) -> AsyncIterator[dict[str, Any]]:
        """How it is now, then each change; ends with the download."""
        while True:
            changed = self._changed
            yield self.shown()
            if self.state != "running":
                return
            await changed.wait()

    def change(self) -> None:
        """Wakes who follows it."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def end(self, state: State, error: WorkspaceError | None = None) -> None:
        self.state, self.error = state, error
        self._seconds = time.monotonic() - self._began
        self.change()


class Pulls:
    """arrived: what is done with a model that is here now, by its pull and its name; ModelHubError where it
    cannot.
    """

    def __init__(self, hub: ModelHub, arrived: Callable[[Pull, str], Awaitable[None]]) -> None:
        self._hub = hub
        self._arrived = arrived
        self._pulls: dict[str, Pull] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopped = False

    def newest(self) -> list[Pull]:
        """The newest first."""
        return list(reversed(self._pulls.values()))

    def find(self, pull_id: str) -> Pull:
        """Raises WorkspaceError 404."""
        found = self._pulls.get(pull_id)
        if found is None:
            raise not_found("download")
        return found

    def running(self, model: str) -> Pull | None:
        """The download of a model that runs now."""
        wanted = model.casefold()
        running = (pull for pull in self._pulls.values() if pull.state == "running")
        return next((pull for pull in running if pull.model.casefold() == wanted), None)

    def start(self, model: str, revision: str | None) -> Pull:
        """Raises WorkspaceError 409 for one that runs already, ModelHubError for a name that is none."""
        model, revision = self._hub.plain_name(model, revision)
        if self._stopped:
            raise WorkspaceError(503, "The server is shutting down.", kind="unavailable")
        if self.running(model) is not None:
            raise WorkspaceError(
                409,
                f"{model} is being pulled already.",
                kind="conflict",
                code="hub_pulled_already",
                values={"model": model},
            )
        if len(self._tasks) >= MOST_AT_A_TIME:
            message = f"{MOST_AT_A_TIME} models are being pulled; wait for one of them or cancel it."
            raise WorkspaceError(
                409, message, kind="conflict", code="hub_most_pulls", values={"count": MOST_AT_A_TIME}
            )
        for ended in self._ended()[:-KEPT]:
            del self._pulls[ended.id]
        pull = Pull(model, revision)
        self._pulls[pull.id] = pull
        task = self._tasks[pull.id] = asyncio.create_task(self._run(pull), name=f"pull of {model}")
        task.add_done_callback(lambda _task: self._tasks.pop(pull.id))
        return pull

    async def cancel(self, pull_id: str) -> Pull:
        """Stops it; what has come stays for the next time. One that has ended leaves the list. Raises
        WorkspaceError 404.
        """
        pull = self.find(pull_id)
        task = self._tasks.get(pull_id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        else:
            del self._pulls[pull_id]
        return pull

    async def stop(self) -> None:
        self._stopped = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, pull: Pull) -> None:
        try:
            await self._follow(pull)
            if pull.name is None:
                raise ModelHubError("The download ended without a model.", code="hub_no_model")
            problem: ModelHubError | None = None
            try:
                await self._arrived(pull, pull.name)
            except ModelHubError as error:
                problem = error
            pull.end("done", problem)
        except ModelHubError as error:
            _log.warning("%s cannot be pulled: %s", pull.model, error)
            pull.end("failed", error)
        except asyncio.CancelledError:
            pull.end("cancelled")
            raise
        except Exception as error:
            _log.exception("pulling %s", pull.model)
            message = f"The server failed on this download: {error}"
            pull.end(
                "failed",
                ModelHubError(message, 500, code="hub_failed", values={"reason": str(error)}),
            )

    async def _follow(self, pull: Pull) -> None:
        async with aclosing(self._hub.pull(pull.model, pull.revision)) as all_news:
            async for news in all_news:
                if news.step is not None:
                    pull.step, pull.done, pull.total = news.step, 0, news.total
                pull.done = pull.done if news.done is None else news.done
                pull.total = pull.total if news.total is None else news.total
                pull.message = news.message or pull.message
                pull.name = news.ready or pull.name
                pull.change()

    def _ended(self) -> list[Pull]:
        return [pull for pull in self._pulls.values() if pull.state != "running"]
