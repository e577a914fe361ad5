"""What each open tab is told outside of answers, and what it is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from pagoda.workspace.errors import not_found
from pagoda.workspace.generation.tabs import Tab, Tabs
from pagoda.workspace.requests import SignedIn, workspace_of
from pagoda.workspace.routes.bodies import Body, Done
from pagoda.workspace.routes.streams import EVENT_STREAM, kept_alive

router = APIRouter(prefix="/api/events", tags=["events"])


class Reply(Body):
    value: Any = None


@router.get("", summary="Changes in other tabs, notifications and questions")
async def events(request: Request, principal: SignedIn) -> StreamingResponse:
    """Server-sent events. They are not kept: who comes back reads its lists anew."""
    tabs = workspace_of(request).tabs
    return StreamingResponse(kept_alive(_stream(tabs, tabs.open(principal.id))), headers=EVENT_STREAM)


@router.post("/{call_id}", summary="Answer a question")
async def answer(request: Request, principal: SignedIn, call_id: str, body: Reply) -> Done:
    if not workspace_of(request).tabs.answer(principal.id, call_id, body.value):
        raise not_found("open question")
    return Done()


async def _stream(tabs: Tabs, tab: Tab) -> AsyncIterator[bytes]:
    try:
        yield b"data: %s\n\n" % msgspec.json.encode({"type": "hello"})
        async for event in tab.events():
            yield b"data: %s\n\n" % msgspec.json.encode(event)
    finally:
        tabs.close(tab)
