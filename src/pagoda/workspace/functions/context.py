"""For whom and for what a function runs, and what it may reach of the house."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from pagoda.workspace.functions.work import ignore


class Tabs(Protocol):
    """The user's open pages."""

    def publish(self, user_id: str, event: dict[str, Any]) -> None:
        """Shows every tab an event such as {"type": "notification", "level", "text"}."""
        ...

    def publish_once(self, user_id: str, event: dict[str, Any]) -> None:
        """Shows one tab an event."""
        ...

    async def call(self, user_id: str, kind: str, data: dict[str, Any]) -> Any:
        """What the first tab to answer a "confirmation", "input" or "execute" says; {"error": ...} where
        there is none.
        """
        ...


class TokenCounter(Protocol):
    """Tokenizers of the models that are served. model: None for the first one. Not for the event loop: texts
    may be long.
    """

    def encode(self, model: str | None, text: str) -> list[int]: ...

    def decode(self, model: str | None, tokens: Sequence[int]) -> str: ...

    def size(self, model: str | None) -> int: ...


class NoTabs:
    """Where nobody watches."""

    def publish(self, user_id: str, event: dict[str, Any]) -> None:
        """Nobody sees it."""

    def publish_once(self, user_id: str, event: dict[str, Any]) -> None:
        """Nobody sees it."""

    async def call(self, user_id: str, kind: str, data: dict[str, Any]) -> Any:
        return {"error": "Client session disconnected."}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """user: id, email, name and role at least. model: what is known of the request's model, `info` with meta
    and params in it. chat_id, message_id: "" for requests of programs. live: whether a page watches, so that
    events have an effect. emit: takes what functions emit. filter_ids: those switched on for this request.
    """

    user: Mapping[str, Any]
    model: Mapping[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    chat_id: str = ""
    message_id: str = ""
    session_id: str | None = None
    live: bool = True
    emit: Callable[[Any], None] = ignore
    filter_ids: Sequence[str] = ()
    task: str | None = None

    def arguments(self, function_id: str) -> dict[str, Any]:
        """The reserved arguments that are plain values."""
        return {
            "__user__": dict(self.user),
            "__model__": dict(self.model),
            "__metadata__": dict(self.metadata),
            "__id__": function_id,
            "__chat_id__": self.chat_id,
            "__message_id__": self.message_id,
            "__session_id__": self.session_id,
            "__files__": list(self.metadata.get("files") or []),
            "__task__": self.task,
            "__task_body__": self.metadata.get("task_body"),
            "__tools__": {},
            "__oauth_token__": None,
            "__features__": dict(self.metadata.get("features") or {}),
        }


#: the request that a provider answers at this moment; a pipe is a provider and gets its context so
CURRENT: ContextVar[CallContext | None] = ContextVar("CURRENT", default=None)
