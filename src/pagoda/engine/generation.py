"""A request on its way: its answers as they come, without a task of its own.

News of a step reach all requests within one turn of the event loop: each is marked as they are delivered, and
woken once when all of them are. Whoever listens takes what has come by then, at once or later; what is not
taken is joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pagoda.engine.errors import EngineDeadError, RequestFailedError

if TYPE_CHECKING:
    from pagoda.engine.messages import AddRequest, TokenDelta
    from pagoda.engine.outputs import RequestOutput
    from pagoda.engine.processor import RequestState
    from pagoda.engine.supervisor import EngineSupervisor


class Generation:
    """Made by `AsyncLLM.begin`, validated; asks nothing of the engine before `start`.

    With `stream` there is news with every token, else only at the end. Belongs to one event loop.
    """

    def __init__(
        self,
        state: RequestState,
        commands: Callable[[], list[AddRequest]],
        supervisor: EngineSupervisor,
        wakeups: Wakeups,
        *,
        stream: bool,
    ) -> None:
        self.state = state
        self.stream = stream
        self._commands = commands
        self._supervisor = supervisor
        self._wakeups = wakeups
        self._ids: list[str] = []
        self._news: list[tuple[int, TokenDelta]] = []
        self._on_news: Callable[[], None] | None = None
        self._error: Exception | None = None

    def start(self, on_news: Callable[[], None]) -> None:
        """Asks the engine. `on_news` is called when `take` has something to give, or to raise; not from
        within this call. Raises EngineDeadError.
        """
        self._on_news = on_news
        for index, command in enumerate(self._commands()):
            self._supervisor.add(command, partial(self._deliver, index))
            self._ids.append(command.request_id)

    def listen(self, on_news: Callable[[], None]) -> None:
        """Calls this one from now on."""
        self._on_news = on_news

    @property
    def finished(self) -> bool:
        """Whether what `take` gives now is the last."""
        return self.state.finished

    def take(self) -> RequestOutput:
        """What is new since the last call; everything without `stream`. Raises RequestFailedError,
        EngineDeadError when the engine has stopped for good.
        """
        if self._error is not None:
            if not self.stream or not self.state.has_news:
                raise self._error
            self._wakeups.mark(self)  # what came before the failure goes first
        return self.state.take(everything=not self.stream)

    def close(self) -> None:
        """Frees in the engine what goes on. May be called twice, and before `start`."""
        self._on_news = None
        for index in self.state.unfinished():
            if index < len(self._ids):
                self._supervisor.abort(self._ids[index])

    def wake(self) -> None:
        """Takes in what was delivered, and says so."""
        news, self._news = self._news, []
        try:
            for index, delta in news:
                if self.state.push(index, delta):
                    self._supervisor.abort(self._ids[index])
        except RequestFailedError as error:
            dead = self._supervisor.status == "dead"
            self._error = EngineDeadError(str(error)) if dead else error
        except Exception as error:  # whoever takes must learn of it
            self._error = error
        if self._on_news is not None and (self.stream or self._error is not None or self.finished):
            self._on_news()

    def _deliver(self, index: int, delta: TokenDelta) -> None:
        if not self._news:
            self._wakeups.mark(self)
        self._news.append((index, delta))


class Wakeups:
    """Wakes all requests that have news, once everything that came together was delivered."""

    def __init__(self, supervisor: EngineSupervisor) -> None:
        self._supervisor = supervisor
        self._marked: list[Generation] = []
        supervisor.on_read = self.wake

    def mark(self, generation: Generation) -> None:
        """Has it woken with the news that are being read, else in the event loop's next turn."""
        if not self._marked and not self._supervisor.reading:
            asyncio.get_running_loop().call_soon(self.wake)
        self._marked.append(generation)

    def wake(self) -> None:
        marked, self._marked = self._marked, []
        for generation in marked:
            try:
                generation.wake()
            except Exception as error:  # of a listener: the others' news must not be lost with it
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a request's news were not taken", "exception": error}
                )
