"""Work that lasts as long as its client: cancelled when the client goes away or the server shuts down."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

Result = TypeVar("Result")


class ClientGoneError(Exception):
    """The client closed the connection; nobody reads an answer."""


class ShuttingDownError(Exception):
    """The server is told to stop."""


async def run_while_connected(
    work: Coroutine[Any, Any, Result], receive: Receive, draining: asyncio.Event
) -> Result:
    """The result of `work`, which is cancelled at once where ClientGoneError or ShuttingDownError is raised.

    The request's body must have been read: whatever `receive` gives from then on is the end of the
    connection.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(receive))
    drain = asyncio.ensure_future(draining.wait())
    try:
        await asyncio.wait({task, gone, drain}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ShuttingDownError if drain.done() else ClientGoneError
    finally:
        pending = [future for future in (task, gone, drain) if not future.done()]
        for future in pending:
            future.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
