"""One answer in the making, with the log of its events for whoever watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pagoda.workspace.chats.service import group_of
from pagoda.workspace.generation.builder import AnswerBuilder, Event
from pagoda.workspace.storage.tables import Message


class Run:
    """Events have numbers from 1 on. Who comes late, or comes back, gets all after the last one seen.

    is_stored: whether the message lies in the database; a temporary chat's does not.
    """

    def __init__(self, run_id: str, user_id: str, message: Message, *, is_stored: bool = True) -> None:
        self.id = run_id
        self.user_id = user_id
        self.message = message
        self.is_stored = is_stored
        self.builder = AnswerBuilder()
        self.ended = False
        self.task: asyncio.Task[None] | None = None
        self._stage = "new"  # then running, stopping, finishing
        self._events: list[Event] = []
        self._news = asyncio.Event()

    def begin(self) -> None:
        """The task runs and may be cancelled from now on. Raises CancelledError for one stopped before."""
        if self._stage == "stopping":
            raise asyncio.CancelledError
        self._stage = "running"

    def finish(self) -> None:
        """What is left to do is writing down, which is not stopped."""
        self._stage = "finishing"

    def stop(self) -> None:
        """Ends the answer with what it has, in a moment; once is enough."""
        if self._stage == "running" and self.task is not None:
            self.task.cancel()
        if self._stage in ("new", "running"):
            self._stage = "stopping"

    @property
    def chat_id(self) -> str | None:
        """None for a temporary chat."""
        return self.message.chat_id if self.is_stored else None

    def live(self, context_length: int | None) -> Event:
        """How far it is, and how much of the context it takes."""
        event = self.builder.live()
        counts = (event["prompt_tokens"], event["completion_tokens"])
        used = None if None in counts else sum(counts)
        return {**event, "context_used": used, "context_length": context_length}

    def tell(self, *events: Event) -> None:
        """Appends events and wakes who waits."""
        for event in events:
            self._events.append({**event, "seq": len(self._events) + 1})
        news, self._news = self._news, asyncio.Event()
        news.set()

    def end(self, *events: Event) -> None:
        """The last events."""
        self.ended = True
        self.tell(*events)

    async def events(self, after: int = 0) -> AsyncIterator[list[Event]]:
        """All events after the one with this number, as they come, several at once where they came so."""
        while found := await self.after(after):
            after = found[-1]["seq"]
            yield found

    async def after(self, seq: int) -> list[Event]:
        """The events after this one, as soon as there are any; none if it was the last. May be cancelled."""
        while True:
            news = self._news
            if found := self._events[max(seq, 0) :]:
                return found
            if self.ended:
                return []
            await news.wait()


def shown(message: Message) -> dict[str, Any]:
    """A message as the page gets it."""
    return {
        "id": message.id,
        "chat_id": message.chat_id,
        "parent_id": message.parent_id,
        "role": message.role,
        "model": message.model_id,
        "status": message.status,
        "parts": message.parts,
        "usage": message.usage,
        "timing": message.timing,
        "error": message.error,
        "rating": message.rating,
        "group": group_of(message),
        "follow_ups": (message.meta or {}).get("follow_ups", []),
        "created_at": message.created_at,
    }
