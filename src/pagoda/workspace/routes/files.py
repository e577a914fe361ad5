"""Uploading files and getting them back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.files.receive import received
from pagoda.workspace.requests import SignedIn, check_may, workspace_of
from pagoda.workspace.routes.bodies import Done
from pagoda.workspace.storage.tables import File

router = APIRouter(prefix="/api/files", tags=["files"])


@router.post("", summary="Upload a file")
async def upload(request: Request, principal: SignedIn, model: str | None = None) -> dict[str, Any]:
    """A form with one file. Its text is read at once; `model`: count its tokens for this one."""
    check_may(principal, "files.upload")
    workspace = workspace_of(request)
    async with received(request, workspace.files.limit) as body:
        file = await workspace.files.add(principal.id, body)
    return await _shown(request, principal, file, model)


@router.get("/{file_id}", summary="A file's description")
async def get_file(
    request: Request, principal: SignedIn, file_id: str, model: str | None = None
) -> dict[str, Any]:
    file = await workspace_of(request).files.get(principal.id, file_id)
    return await _shown(request, principal, file, model)


@router.get("/{file_id}/content", summary="A file's bytes")
async def content(request: Request, principal: SignedIn, file_id: str) -> FileResponse:
    """Never shown as a page of this site, whatever it holds."""
    files = workspace_of(request).files
    file = await files.get(principal.id, file_id)
    picture = file.media_type.startswith("image/")
    return FileResponse(
        files.path(file.id),
        media_type=file.media_type if picture else "application/octet-stream",
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, max-age=86400, immutable",
        },
    )


@router.delete("/{file_id}", summary="Delete a file")
async def delete_file(request: Request, principal: SignedIn, file_id: str) -> Done:
    await workspace_of(request).files.delete(principal.id, file_id)
    return Done()


async def _shown(request: Request, principal: Principal, file: File, model: str | None) -> dict[str, Any]:
    workspace = workspace_of(request)
    tokens = None
    if model is not None:
        found = await workspace.providers.resolve(principal, model)
        tokens = await workspace.files.count(file, model, found.provider, found.model.id)
    return {
        "id": file.id,
        "name": file.name,
        "media_type": file.media_type,
        "size": file.size,
        "characters": None if file.text is None else len(file.text),
        "tokens": tokens,
        "status": file.status,
        "error": file.error,
        "created_at": file.created_at,
    }
