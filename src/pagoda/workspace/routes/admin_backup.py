"""Usage, backups and restoring them, for administrators."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import Field
from starlette.background import BackgroundTask

from pagoda.workspace.accounts.audit import record
from pagoda.workspace.accounts.passwords import LONGEST
from pagoda.workspace.admin.usage import By, usage
from pagoda.workspace.files.receive import Received, received
from pagoda.workspace.requests import Administrator, address_of, clear_session_cookie, workspace_of
from pagoda.workspace.routes.bodies import Body, Done

router = APIRouter(prefix="/api/admin", tags=["administration"])
_MOST_BYTES = 1 << 40  #: of a form; the disk is the limit


@router.get("/usage", summary="Who used how much")
async def get_usage(
    request: Request,
    _by: Administrator,
    by: By = "day",
    since: Annotated[int | None, Query(ge=0, le=1 << 53)] = None,
    until: Annotated[int | None, Query(ge=0, le=1 << 53)] = None,
    user: str | None = None,
    model: str | None = None,
    minutes_east: Annotated[int, Query(ge=-1440, le=1440)] = 0,
) -> dict[str, Any]:
    return await usage(
        workspace_of(request).database,
        by,
        since=since,
        until=until,
        user_id=user,
        model_id=model,
        minutes_east=minutes_east,
    )


@router.post("/backup", summary="All that there is, in one archive", response_class=FileResponse)
async def backup(request: Request, by: Administrator) -> FileResponse:
    """The archive holds the key that opens saved secrets: whoever has it has them."""
    from pagoda.workspace.storage.backup import write_backup  # zipfile and friends, when they are needed

    workspace = workspace_of(request)
    draft = workspace.data_dir / f".backup-{secrets.token_hex(8)}.zip"
    await write_backup(workspace.database, workspace.data_dir, draft, workspace.version)
    async with workspace.database.write() as session:
        record(session, by, "backup", address=address_of(request))
    name = time.strftime("pagoda-%Y%m%d-%H%M%S.zip")
    return FileResponse(
        draft,
        media_type="application/zip",
        filename=name,
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(draft.unlink, missing_ok=True),
    )


@router.post("/restore", summary="Upload a backup, which is checked and not yet restored")
async def stage_backup(request: Request, _by: Administrator) -> dict[str, Any]:
    """The archive as the body, or in a form with a file. Tells what is in it, and the id to restore it by."""
    uploads = workspace_of(request).uploads
    length = request.headers.get("content-length", "")
    announced = int(length) if length.isascii() and length.isdigit() else None
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        async with received(request, _MOST_BYTES) as upload:
            staged = await uploads.take(_pieces(upload), announced)
    else:
        staged = await uploads.take(request.stream(), announced)
    return {"id": staged.id, **staged.preview}


class Confirmation(Body):
    password: Annotated[str, Field(max_length=LONGEST)] = ""


@router.post("/restore/{restore_id}", summary="Put an uploaded backup in the place of everything")
async def restore_backup(
    request: Request, response: Response, by: Administrator, restore_id: str, body: Confirmation
) -> dict[str, Any]:
    """Needs one's own password. Requests are answered with 503 meanwhile, and everybody is signed out."""
    from pagoda.workspace.admin.restoring import restore

    workspace = workspace_of(request)
    workspace.uploads.find(restore_id)
    await workspace.accounts.confirm(by, body.password, address_of(request))
    staged = workspace.uploads.claim(restore_id)
    # A client that goes away must not end it in the middle.
    restoring = asyncio.create_task(restore(request.app, workspace, staged, by, address_of(request)))
    await asyncio.shield(restoring)
    clear_session_cookie(request, response)
    return staged.preview


@router.delete("/restore/{restore_id}", summary="Forget an uploaded backup")
async def discard_backup(request: Request, _by: Administrator, restore_id: str) -> Done:
    uploads = workspace_of(request).uploads
    uploads.find(restore_id)
    uploads.discard()
    return Done()


async def _pieces(upload: Received) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(upload.file.read, 1 << 20):
        yield piece
