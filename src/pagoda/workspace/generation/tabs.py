"""What open tabs of the page are told outside of answers, and what they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pagoda.workspace.storage.values import new_id

MOST_TABS = 32  #: of one user; the oldest is let go
_MOST_WAITING = 256  #: events; a tab that takes none of them is let go, comes back, and reads everything anew

#: what a function gets for an answer that nobody gave
DISCONNECTED = {"error": "Client session disconnected."}
TIMED_OUT = {"error": "Event call timed out."}


class Tab:
    """One open page's stream of events."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self._waiting: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.open = True

    def tell(self, event: dict[str, Any]) -> None:
        if not self.open:
            return
        if self._waiting.qsize() >= _MOST_WAITING:
            self.close()
        else:
            self._waiting.put_nowait(event)

    def close(self) -> None:
        if self.open:
            self.open = False
            self._waiting.put_nowait(None)

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """Until the tab is let go."""
        while (event := await self._waiting.get()) is not None:
            yield event


class _Call:
    """A question that is open. tab: the one that is asked; None: all."""

    def __init__(self, user_id: str, tab: Tab | None) -> None:
        self.user_id = user_id
        self.tab = tab
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def end(self, value: Any) -> bool:
        """Whether it was open still."""
        if self.future.done():
            return False
        self.future.set_result(value)
        return True


class Tabs:
    """The open tabs of everybody."""

    def __init__(self) -> None:
        self._tabs: dict[str, list[Tab]] = {}
        self._calls: dict[str, _Call] = {}

    def open(self, user_id: str) -> Tab:
        tab = Tab(user_id)
        mine = self._tabs.setdefault(user_id, [])
        mine.append(tab)
        if len(mine) > MOST_TABS:
            mine.pop(0).close()
        return tab

    def close(self, tab: Tab) -> None:
        """The tab is gone; questions that no tab is left to answer end."""
        tab.close()
        mine = self._tabs.get(tab.user_id, [])
        if tab in mine:
            mine.remove(tab)
        if not mine:
            self._tabs.pop(tab.user_id, None)
        for call in self._calls.values():
            is_left = call.tab is None and bool(mine)
            if call.user_id == tab.user_id and call.tab in (None, tab) and not is_left:
                call.end(DISCONNECTED)

    def close_all(self) -> None:
        """The server ends."""
        for mine in self._tabs.values():
            for tab in mine:
                tab.close()

    def publish(self, user_id: str, event: dict[str, Any]) -> None:
        """Tells every open tab of a user."""
        for tab in self._tabs.get(user_id, ()):
            tab.tell(event)

    def chats_changed(self, user_id: str) -> None:
        """Lists of chats are to be read anew."""
        self.publish(user_id, {"type": "chats_changed"})

    def publish_once(self, user_id: str, event: dict[str, Any]) -> None:
        """Tells the tab that was opened last."""
        for tab in self._tabs.get(user_id, ())[-1:]:
            tab.tell(event)

    async def call(self, user_id: str, kind: str, data: dict[str, Any], seconds: float | None = None) -> Any:
        """Asks a user's tabs; the first answer counts. DISCONNECTED when there is no tab, TIMED_OUT when
        nobody answers in time. kind: confirmation, input or execute; a script runs in the newest tab alone.
        """
        mine = self._tabs.get(user_id)
        if not mine:
            return DISCONNECTED
        call_id = new_id()
        call = _Call(user_id, mine[-1] if kind == "execute" else None)
        self._calls[call_id] = call
        event = {"type": "call", "id": call_id, "kind": kind, "data": data}
        try:
            if call.tab is not None:
                call.tab.tell(event)
            else:
                self.publish(user_id, event)
            return await asyncio.wait_for(call.future, seconds)
        except TimeoutError:
            return TIMED_OUT
        finally:
            del self._calls[call_id]
            self.publish(user_id, {"type": "call_ended", "id": call_id})

    def answer(self, user_id: str, call_id: str, value: Any) -> bool:
        """Whether there was such a question to this user, still unanswered."""
        call = self._calls.get(call_id)
        return call is not None and call.user_id == user_id and call.end(value)
