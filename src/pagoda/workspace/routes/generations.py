"""Asking, watching and stopping answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from pydantic import Field

from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.generation.run import Run
from pagoda.workspace.generation.run import shown as shown_message
from pagoda.workspace.requests import SignedIn, workspace_of
from pagoda.workspace.routes.bodies import Body, Done
from pagoda.workspace.routes.streams import EVENT_STREAM, PING, PING_SECONDS

router = APIRouter(prefix="/api", tags=["generations"])

_LONGEST_TEXT = 4_000_000  #: characters of one message


class TextPart(Body):
    type: Literal["text"] = "text"
    text: Annotated[str, Field(max_length=_LONGEST_TEXT)]


class ImagePart(Body):
    type: Literal["image"]
    file_id: str


class FilePart(Body):
    type: Literal["file"]
    file_id: str
    name: str = ""
    tokens: int | None = None


Part = Annotated[TextPart | ImagePart | FilePart, Field(discriminator="type")]
Parts = Annotated[list[Part], Field(min_length=1, max_length=200)]
Models = Annotated[list[str], Field(max_length=20)]
Filters = Annotated[list[str], Field(max_length=100)]


class Question(Body):
    """parts None: answer the message `parent_id` again, `version_of` in the place of one of several answers
    side by side. continue_id: go on writing this answer instead.
    """

    parent_id: str | None = None
    parts: Parts | None = None
    models: Models = Field(default_factory=list)
    params: dict[str, Any] = Field(default_factory=dict)
    filter_ids: Filters = Field(default_factory=list)
    continue_id: str | None = None
    version_of: str | None = None


class TemporaryMessage(Body):
    role: Literal["user", "assistant"]
    parts: Annotated[list[Part], Field(max_length=200)]


class TemporaryQuestion(Body):
    messages: Annotated[list[TemporaryMessage], Field(min_length=1, max_length=2000)]
    models: Models
    params: dict[str, Any] = Field(default_factory=dict)
    filter_ids: Filters = Field(default_factory=list)


@router.post("/chats/{chat_id}/generate", summary="Ask, answer again, or go on")
async def generate(request: Request, principal: SignedIn, chat_id: str, body: Question) -> dict[str, Any]:
    generations = workspace_of(request).generations
    if body.continue_id is not None:
        if body.parts is not None:
            raise WorkspaceError(400, "Either ask something or go on.", param="continue_id")
        run = await generations.go_on(
            principal, chat_id, body.continue_id, params=body.params, filter_ids=body.filter_ids
        )
        return {"question": None, "generations": [_shown(run)]}
    started = await generations.start(
        principal,
        chat_id,
        parent_id=body.parent_id,
        parts=None if body.parts is None else [part.model_dump(exclude_none=True) for part in body.parts],
        models=body.models,
        params=body.params,
        filter_ids=body.filter_ids,
        version_of=body.version_of,
    )
    return {
        "question": None if started.question is None else shown_message(started.question),
        "generations": [_shown(run) for run in started.runs],
    }


@router.post("/temporary/generate", summary="Ask, and keep nothing")
async def generate_temporary(
    request: Request, principal: SignedIn, body: TemporaryQuestion
) -> dict[str, Any]:
    runs = await workspace_of(request).generations.start_temporary(
        principal,
        messages=[each.model_dump(exclude_none=True) for each in body.messages],
        models=body.models,
        params=body.params,
        filter_ids=body.filter_ids,
    )
    return {"question": None, "generations": [_shown(run) for run in runs]}


class Draft(Body):
    """chat_id None: of a new or a temporary chat."""

    text: Annotated[str, Field(min_length=1, max_length=_LONGEST_TEXT)]
    model: str
    chat_id: str | None = None


@router.post("/complete", summary="How a message might go on")
async def complete(request: Request, principal: SignedIn, body: Draft) -> dict[str, Any]:
    tasks = workspace_of(request).tasks
    return {"text": await tasks.complete(principal, body.chat_id, body.model, body.text)}


@router.get("/generations", summary="What is being answered now")
async def running(request: Request, principal: SignedIn, chat: str | None = None) -> dict[str, Any]:
    found = workspace_of(request).generations.running(principal.id, chat)
    return {"generations": [{**_shown(run), "chat_id": run.chat_id} for run in found]}


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
    if last_event_id is not None and last_event_id.isdigit() and len(last_event_id) < 19:
        after = max(after, int(last_event_id))
    return StreamingResponse(_stream(run, after), headers=EVENT_STREAM)


@router.post("/generations/{run_id}/stop", summary="Stop an answer")
async def stop(request: Request, principal: SignedIn, run_id: str) -> Done:
    workspace_of(request).generations.stop(principal.id, run_id)
    return Done()


def _shown(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "message_id": run.message.id,
        "message": shown_message(run.message),
        "model": run.message.model_id,
    }


async def _stream(run: Run, after: int) -> AsyncIterator[bytes]:
    while True:
        # Not `kept_alive`: that costs a task for each event, and there are as many as tokens.
        try:
            async with asyncio.timeout(PING_SECONDS):
                found = await run.after(after)
        except TimeoutError:
            yield PING
            continue
        if not found:
            return
        after = found[-1]["seq"]
        yield b"".join(
            b"id: %d\ndata: %s\n\n" % (event["seq"], msgspec.json.encode(event)) for event in found
        )
