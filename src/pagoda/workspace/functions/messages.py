"""What the server and the plugin process tell each other. Both sides import this, so it is small.

Values are plain objects as MessagePack carries them. Call ids are the server's, question ids the process's.
"""

from __future__ import annotations

from typing import Any

import msgspec

LONGEST_FRAME = 64 << 20  #: bytes; a plugin that answers more is refused
WINDOW = 64  #: items that a pipe may be ahead of who reads it


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """memory: bytes of private data of the process. hook_seconds: for inlet, outlet and one chunk in stream.
    idle_seconds: between two items of a pipe, and for an action. grace_seconds: between a request to end and
    the end of the process. Time in which a user is asked something does not count.
    """

    memory: int = 1 << 30
    load_seconds: float = 30.0
    hook_seconds: float = 60.0
    idle_seconds: float = 300.0
    grace_seconds: float = 2.0


class Setup(msgspec.Struct, frozen=True, tag="setup"):
    """The first message. folder: the process's own; packages: where requirements are installed."""

    limits: Limits
    folder: str
    packages: str
    version: str


class Call(msgspec.Struct, frozen=True, kw_only=True, tag="call"):
    """Run one handler. hook: describe, inlet, stream, outlet, pipes, pipe, action, schema or
    validate (and the same two for users' valves).

    body: the handler's main argument. arguments: the reserved ones by name; those with a meaning of their own
    (`__event_emitter__`, `__event_call__`, `__request__`) are made in the process. live: whether a page
    watches; a pipe that nobody watches can emit nothing. valves and user_valves: None where nothing is saved.
    """

    id: int
    function_id: str
    digest: str
    hook: str
    content: str | None = None
    body: Any = None
    arguments: dict[str, Any] = {}
    valves: dict[str, Any] | None = None
    user_valves: dict[str, Any] | None = None
    live: bool = True


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """End a call. reason: "time" or "gone"."""

    id: int
    reason: str


class More(msgspec.Struct, frozen=True, tag="more"):
    """So many further items of a pipe may be sent."""

    id: int
    count: int


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """To a question. error: a sentence, where there is no value."""

    id: int
    value: Any = None
    error: str | None = None


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Does the process still turn to messages?"""


ServerMessage = Setup | Call | Cancel | More | Answer | Ping


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The process takes calls."""


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """It does."""


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """The process does not have this call's function; send the call again with its content."""

    id: int


class Result(msgspec.Struct, frozen=True, tag="result"):
    """What a handler returned; None at the end of a pipe's items."""

    id: int
    value: Any = None


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """A handler did not return. kind: load, error, memory, time, nonsense or gone.

    message: what its exception says. line: where in the function it was raised.
    """

    id: int
    kind: str
    message: str
    line: int | None = None


class Item(msgspec.Struct, frozen=True, tag="item"):
    """One item of a pipe: text, bytes as text, or an object."""

    id: int
    value: Any


class Emitted(msgspec.Struct, frozen=True, tag="emitted"):
    """What a handler gave to `__event_emitter__`."""

    id: int
    event: Any


class Question(msgspec.Struct, frozen=True, tag="question"):
    """Something that only the server knows. call_id: on whose behalf, None while a module loads."""

    id: int
    call_id: int | None
    what: str
    arguments: dict[str, Any]


class Printed(msgspec.Struct, frozen=True, tag="printed"):
    """Lines that a function has printed; dropped: how many more there were."""

    function_id: str
    text: str
    dropped: int = 0


ProcessMessage = Ready | Pong | Unknown | Result | Failure | Item | Emitted | Question | Printed
