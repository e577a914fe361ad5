"""What the server is doing now, and its log, for administrators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from pagoda.workspace.admin.live import Live
from pagoda.workspace.admin.log_ring import MOST_LINES, LogRing
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.requests import Administrator, administrator, workspace_of
from pagoda.workspace.routes.streams import EVENT_STREAM, kept_alive

router = APIRouter(prefix="/api/admin", tags=["administration"])
CHECK_SECONDS = 30.0  #: a stream ends so long after the one who reads it is no administrator any more
_LOG_SECONDS = 0.5  #: between two looks at the log

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


@router.get("/live", summary="Figures of each second")
async def live(request: Request, _by: Administrator) -> StreamingResponse:
    """Server-sent events: the last minutes first, as far as somebody looked then, and then each second."""
    stream = _while_allowed(request, _figures(workspace_of(request).live))
    return StreamingResponse(kept_alive(stream), headers=EVENT_STREAM)


@router.get("/logs", summary="The last lines of the log")
async def logs(
    request: Request,
    _by: Administrator,
    after: Annotated[int, Query(ge=0, le=1 << 53)] = 0,
    level: Level = "DEBUG",
    limit: Annotated[int, Query(ge=1, le=MOST_LINES)] = MOST_LINES,
) -> dict[str, Any]:
    """`kept` is false where Pagoda does not write the log itself."""
    ring = workspace_of(request).log
    if ring is None:
        return {"lines": [], "last": 0, "kept": False}
    last = ring.last
    return {"lines": [asdict(line) for line in ring.lines(after, level, limit)], "last": last, "kept": True}


@router.get("/logs/events", summary="The log as it is written")
async def log_events(
    request: Request, _by: Administrator, after: Annotated[int, Query(ge=0, le=1 << 53)] = 0
) -> StreamingResponse:
    """Server-sent events, each with the lines since the last."""
    workspace = workspace_of(request)
    stream = _while_allowed(request, _lines(workspace.log, after, workspace.draining))
    return StreamingResponse(kept_alive(stream), headers=EVENT_STREAM)


async def _figures(live: Live) -> AsyncGenerator[bytes, None]:
    async with aclosing(live.watch()) as samples:
        async for sample in samples:
            yield b"data: %s\n\n" % msgspec.json.encode(sample)


async def _lines(ring: LogRing | None, after: int, ended: asyncio.Event) -> AsyncGenerator[bytes, None]:
    yield b"data: %s\n\n" % msgspec.json.encode({"type": "hello", "kept": ring is not None})
    while ring is not None and not ended.is_set():
        if ring.last > after:
            found = ring.lines(after)
            after = ring.last if not found else found[-1].seq
            if found:
                yield b"data: %s\n\n" % msgspec.json.encode({"type": "lines", "lines": found})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOG_SECONDS):
                await ended.wait()


async def _while_allowed(
    request: Request, events: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """The events, until the one who asked may not see them any more."""
    loop = asyncio.get_running_loop()
    checked = loop.time()
    async with aclosing(events):
        async for event in events:
            if loop.time() - checked > CHECK_SECONDS:
                checked = loop.time()
                try:
                    await administrator(request)
                except WorkspaceError:
                    return
            yield event
