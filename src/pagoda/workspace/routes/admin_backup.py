"""Usage and backups, for administrators."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from pagoda.workspace.accounts.audit import record
from pagoda.workspace.admin.usage import By, usage
from pagoda.workspace.requests import Administrator, address_of, workspace_of

router = APIRouter(prefix="/api/admin", tags=["administration"])


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
