"""The models of this machine: pulled, offered, loaded, unloaded and removed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field, StringConstraints

from pagoda.workspace.admin.pulls import Pull
from pagoda.workspace.requests import Administrator, address_of, workspace_of
from pagoda.workspace.routes.bodies import Body, Done
from pagoda.workspace.routes.streams import EVENT_STREAM, kept_alive

router = APIRouter(prefix="/api/admin/hub", tags=["administration"])

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class PullBody(Body):
    model: Name
    revision: Annotated[Name | None, Field(description="A branch, a tag or a commit.")] = None


class LoadBody(Body):
    model: Name
    make_room: Annotated[bool, Field(description="Others may be unloaded for it.")] = False


class ModelBody(Body):
    model: Name


@router.get("", summary="The models of this machine, what each needs, and the memory there is")
async def overview(request: Request, _by: Administrator) -> dict[str, Any]:
    return await workspace_of(request).hub.overview()


@router.get("/pulls", summary="Downloads that run or have lately ended")
async def pulls(request: Request, _by: Administrator) -> dict[str, Any]:
    return {"pulls": [pull.shown() for pull in workspace_of(request).hub.pulls.newest()]}


@router.post("/pulls", summary="Pull a model")
async def pull(request: Request, by: Administrator, body: PullBody) -> dict[str, Any]:
    """It is offered when it is here."""
    hub = workspace_of(request).hub
    return (await hub.pull(by, body.model, body.revision, address_of(request))).shown()


@router.get("/pulls/{pull_id}/events", summary="How far a download is")
async def events(request: Request, _by: Administrator, pull_id: str) -> StreamingResponse:
    """Server-sent events, each a whole state; the last one is that of the end."""
    found = workspace_of(request).hub.pulls.find(pull_id)
    return StreamingResponse(kept_alive(_stream(found)), headers=EVENT_STREAM)


@router.delete("/pulls/{pull_id}", summary="Cancel a download, or take one that has ended off the list")
async def cancel(request: Request, by: Administrator, pull_id: str) -> dict[str, Any]:
    """What has come is gone on with the next time."""
    return (await workspace_of(request).hub.cancel(by, pull_id, address_of(request))).shown()


@router.post("/load", summary="Load a model")
async def load(request: Request, by: Administrator, body: LoadBody) -> dict[str, Any]:
    """Begins to; one that is not served yet is offered from then on. 409 "needs_room" names those that would
    be unloaded for it.
    """
    name = await workspace_of(request).hub.load(by, body.model, body.make_room, address_of(request))
    return {"id": name}


@router.post("/unload", summary="Unload a model")
async def unload(request: Request, by: Administrator, body: ModelBody) -> Done:
    """Begins to; what runs on it ends first, and the next chat loads it again."""
    await workspace_of(request).hub.unload(by, body.model, address_of(request))
    return Done()


@router.post("/withdraw", summary="Offer a model no more")
async def withdraw(request: Request, by: Administrator, body: ModelBody) -> Done:
    """Its files stay."""
    await workspace_of(request).hub.withdraw(by, body.model, address_of(request))
    return Done()


@router.delete("/{model:path}", summary="Remove a model's files")
async def remove(
    request: Request,
    by: Administrator,
    model: str,
    unload: Annotated[bool, Query(description="Also when it is in memory.")] = False,
) -> Done:
    await workspace_of(request).hub.remove(by, model, unload, address_of(request))
    return Done()


async def _stream(pull: Pull) -> AsyncIterator[bytes]:
    async for state in pull.news():
        yield b"data: %s\n\n" % msgspec.json.encode(state)
