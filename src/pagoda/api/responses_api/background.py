"""Responses that go on when their client has left, and can be read again from any event on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from pagoda.api.errors import ApiError, unavailable
from pagoda.api.responses_api.maker import ResponseMaker


class BackgroundResponse:
    """A response that is made in a task of its own, until it ends, is cancelled, or the server stops.

    on_give_up: awaited when it ended early, to keep what there is. on_close: called when all is done.
    """

    def __init__(
        self,
        maker: ResponseMaker,
        draining: asyncio.Event,
        on_give_up: Callable[[], Awaitable[None]],
        on_close: Callable[[], None],
    ) -> None:
        self.maker = maker
        self.log: list[bytes] = []  #: its events so far; their place is their sequence number
        self._draining = draining
        self._on_give_up = on_give_up
        self._on_close = on_close
        self._ended = False
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._live())

    async def cancel(self) -> None:
        """Ends it, in vain where it has just ended by itself; returns when it has."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def follow(self, start: int = 0) -> AsyncGenerator[bytes, None]:
        """Its events from that number on, as they come, until it has ended."""
        while True:
            news = self._news
            if start < len(self.log):
                data, start = b"".join(self.log[start:]), len(self.log)
                yield data
            elif self._ended:
                return
            else:
                await news.wait()

    def _tell(self, events: list[bytes]) -> None:
        self.log += events
        self._news.set()
        self._news = asyncio.Event()

    async def _live(self) -> None:
        try:
            await self._run()
        finally:
            self._ended = True
            self._tell([])
            self._on_close()

    async def _run(self) -> None:
        making = asyncio.create_task(self._make())
        draining = asyncio.create_task(self._draining.wait())
        failure: ApiError | None = None
        try:
            await asyncio.wait({making, draining}, return_when=asyncio.FIRST_COMPLETED)
            if draining.done():
                failure = unavailable("The server is shutting down.")
            elif making.exception() is not None:
                failure = ApiError(500, "The server failed on this response; its log says why.")
        except asyncio.CancelledError:
            pass  # by `cancel`: what there is stays
        for task in (making, draining):
            task.cancel()
        results = await asyncio.gather(making, draining, return_exceptions=True)
        if not self.maker.state.ended:
            self._tell(self.maker.give_up(failure))
            await self._on_give_up()
        if isinstance(results[0], Exception):
            raise results[0]

    async def _make(self) -> None:
        async with aclosing(self.maker.events()) as events:
            async for told in events:
                self._tell(told)
