"""Server-sent events that last: proxies end connections that are silent for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

PING_SECONDS = 15.0
PING = b": ping\n\n"
EVENT_STREAM: Mapping[str, str] = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx would collect what should come at once
}


async def kept_alive(events: AsyncIterator[bytes], seconds: float = PING_SECONDS) -> AsyncIterator[bytes]:
    """The events, with a comment in between when nothing happens for so long."""
    waiting: asyncio.Future[bytes] | None = None
    try:
        while True:
            if waiting is None:
                waiting = asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({waiting}, timeout=seconds)
            if not done:
                yield PING
                continue
            finished, waiting = waiting, None
            try:
                found = finished.result()
            except StopAsyncIteration:
                return
            yield found
    finally:
        if waiting is not None:
            waiting.cancel()
