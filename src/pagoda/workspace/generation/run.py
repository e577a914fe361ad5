"""One answer in the making, with the log of its events for whoever watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pagoda.workspace.generation.builder import AnswerBuilder, Event
from pagoda.workspace.storage.tables import Message


class Run:
    """Events have numbers from 1 on. Who comes late, or comes back, gets all after the last one seen."""

    def __init__(self, run_id: str, user_id: str, message: Message) -> None:
        self.id = run_id
        self.user_id = user_id
        self.message = message
        self.builder = AnswerBuilder()
        self.ended = False
        self.task: asyncio.Task[None] | None = None
        self._events: list[Event] = []
        self._news = asyncio.Event()

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
        while True:
            news = self._news
            if found := self._events[max(after, 0) :]:
                after = len(self._events)
                yield found
            elif self.ended:
                return
            else:
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
        "created_at": message.created_at,
    }
