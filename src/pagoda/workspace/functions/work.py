"""One call of a function, as the server sees it while it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from pagoda.workspace.functions.messages import Call, Limits

MOST_EVENTS = 2000  #: that one call may emit
_PATIENT = frozenset(("pipe", "action"))  # these may take long, as long as there are signs of life

Emit = Callable[[Any], None]
Answerer = Callable[[str, dict[str, Any]], Awaitable[Any]]


class PluginError(Exception):
    """A call of a function that failed; the message is for people.

    kind: "load", "error" (its own exception), "memory", "time", "died", "nonsense" or "gone".
    line: in its text, where that is known.
    """

    def __init__(self, function_id: str, kind: str, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.function_id = function_id
        self.kind = kind
        self.line = line


@dataclass(frozen=True, slots=True)
class Code:
    """A function's text. digest: tells one text from another."""

    id: str
    content: str
    digest: str


def ignore(_event: Any) -> None:
    """For calls whose events nobody shows."""


async def knows_nothing(what: str, _arguments: dict[str, Any]) -> Any:
    """For calls that may ask nothing."""
    raise LookupError(f"{what} is not known here")


@dataclass(eq=False, slots=True)
class Work:
    """A call on its way. items: those of a pipe, None at the end. began: when it was sent, on the clock."""

    code: Code
    call: Call
    limits: Limits
    emit: Emit = ignore
    answer: Answerer = knows_nothing
    done: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    items: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    delivered: bool = False  #: whether somebody has already seen something of it
    alone: bool = False
    events: int = 0
    asking: int = 0  #: questions to a person that are open
    deadline: float = 0.0
    queued: bool = False  #: it waits to be tried again

    def begin(self) -> None:
        """The clock starts."""
        self.deadline = time.monotonic() + self._allowed

    def alive(self) -> None:
        """A sign of life."""
        if self.call.hook in _PATIENT:
            self.begin()

    def remaining(self) -> float:
        """Seconds until it has run too long. The clock stands while a person is asked, or it waits."""
        if self.asking or self.queued:
            self.begin()
        return self.deadline - time.monotonic()

    def fail(self, kind: str, message: str, line: int | None = None) -> None:
        if not self.done.done():
            self.done.set_exception(PluginError(self.code.id, kind, message, line))
            self.done.exception()  # a call that nobody waits for any more is no surprise
        self.items.put_nowait(None)

    def succeed(self, value: Any) -> None:
        if not self.done.done():
            self.done.set_result(value)
        self.items.put_nowait(None)

    @property
    def _allowed(self) -> float:
        if self.call.hook in _PATIENT:
            return self.limits.idle_seconds
        if self.call.hook in ("inlet", "stream", "outlet"):
            return self.limits.hook_seconds
        return self.limits.load_seconds
