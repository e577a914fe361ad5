"""Asking, watching and stopping answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from pagoda.workspace.generation.run import Run
from pagoda.workspace.generation.run import shown as shown_message
from pagoda.workspace.requests import SignedIn, workspace_of
from pagoda.workspace.routes.bodies import Body, Done

router = APIRouter(prefix="/api", tags=["generations"])

PING_SECONDS = 15.0  #: proxies end connections that are silent for long
_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


class TextPart(Body):
    type: Literal["text"] = "text"
    text: str


class Question(Body):
    """parts None: answer the message `parent_id` again."""

    parent_id: str | None = None
    parts: Annotated[list[TextPart], Field(min_length=1)] | None = None
    models: list[str]
    params: dict[str, Any] = Field(default_factory=dict)
    filter_ids: list[str] = Field(default_factory=list)


@router.post("/chats/{chat_id}/generate", summary="Ask, or answer again")
async def generate(request: Request, principal: SignedIn, chat_id: str, body: Question) -> dict[str, Any]:
    started = await workspace_of(request).generations.start(
        principal,
        chat_id,
        parent_id=body.parent_id,
        parts=None if body.parts is None else [part.model_dump() for part in body.parts],
        models=body.models,
        params=body.params,
        filter_ids=body.filter_ids,
    )
    return {
        "question": None if started.question is None else shown_message(started.question),
        "generations": [
            {"id": run.id, "message": shown_message(run.message), "model": run.message.model_id}
            for run in started.runs
        ],
    }


@router.get("/generations/{run_id}/events", summary="An answer's events, from any of them on")
async def events(
    request: Request,
    principal: SignedIn,
    run_id: str,
    after: int = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Server-sent events whose ids are their numbers; a client that comes back sends the last one it has."""
    run = workspace_of(request).generations.find(principal.id, run_id)
    if last_event_id is not None and last_event_id.isdigit():
        after = max(after, int(last_event_id))
    return StreamingResponse(_stream(run, after), media_type="text/event-stream", headers=_HEADERS)


@router.post("/generations/{run_id}/stop", summary="Stop an answer")
async def stop(request: Request, principal: SignedIn, run_id: str) -> Done:
    workspace_of(request).generations.stop(principal.id, run_id)
    return Done()


async def _stream(run: Run, after: int) -> AsyncIterator[bytes]:
    events = run.events(after)
    waiting: asyncio.Future[list[dict[str, Any]]] | None = None
    try:
        while True:
            if waiting is None:
                waiting = asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({waiting}, timeout=PING_SECONDS)
            if not done:
                yield b": ping\n\n"
                continue
            try:
                found = waiting.result()
            except StopAsyncIteration:
                return
            finally:
                waiting = None
            yield b"".join(
                b"id: %d\ndata: %s\n\n" % (event["seq"], msgspec.json.encode(event)) for event in found
            )
    finally:
        if waiting is not None:
            waiting.cancel()
