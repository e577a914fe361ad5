"""Export and import of chats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from pagoda.workspace.chats.formats import open_webui
from pagoda.workspace.chats.imports import IMPORT_BYTES, Job
from pagoda.workspace.chats.transfer import one
from pagoda.workspace.files.receive import clean_name, received
from pagoda.workspace.requests import SignedIn, check_may, workspace_of

router = APIRouter(prefix="/api", tags=["transfer"])


@router.get("/chats/{chat_id}/export", summary="A chat as a file")
async def export_chat(
    request: Request,
    principal: SignedIn,
    chat_id: str,
    format: Literal["json", "zip", "markdown", "openwebui"] = "json",  # noqa: A002 - the name of the query
) -> Response:
    """json holds all that is known, and zip the files besides; markdown the visible branch."""
    transfer = workspace_of(request).transfer
    chat = await transfer.chat(principal.id, chat_id)
    if format == "markdown":
        text = await transfer.markdown(principal.id, chat_id)
        return Response(text, media_type="text/markdown", headers=_saved_as(chat["title"], "md"))
    if format == "zip":
        return _archive(transfer.packed(principal.id, chat), chat["title"])
    body = one(chat) if format == "json" else msgspec.json.encode([open_webui.write(chat)])
    return Response(body, media_type="application/json", headers=_saved_as(chat["title"], "json"))


@router.get("/export", summary="All one's chats as a file")
async def export_all(
    request: Request,
    principal: SignedIn,
    format: Literal["json", "zip", "openwebui"] = "json",  # noqa: A002 - the name of the query
) -> StreamingResponse:
    transfer = workspace_of(request).transfer
    if format == "zip":
        return _archive(transfer.packed(principal.id, None), "chats")
    pieces: AsyncIterator[bytes] = (
        transfer.account(principal.id) if format == "json" else transfer.account_for_open_webui(principal.id)
    )
    return StreamingResponse(pieces, media_type="application/json", headers=_saved_as("chats", "json"))


@router.post("/import", summary="Take in a file of chats", status_code=202)
async def import_chats(request: Request, principal: SignedIn) -> dict[str, Any]:
    """A form with a file, or the file as the body: Pagoda's, Open WebUI's or ChatGPT's format. It is read
    while the caller looks after it by its id.
    """
    check_may(principal, "chat.import")
    async with received(request, IMPORT_BYTES, bare=True) as upload:
        job = await workspace_of(request).imports.begin(
            principal.id, upload.file, with_files=principal.may("files.upload")
        )
    return _shown(job)


@router.get("/imports", summary="One's imports that run, or have just ended")
async def imports(request: Request, principal: SignedIn) -> dict[str, Any]:
    return {"imports": [_shown(job) for job in workspace_of(request).imports.of(principal.id)]}


@router.get("/imports/{import_id}", summary="How far an import is")
async def get_import(request: Request, principal: SignedIn, import_id: str) -> dict[str, Any]:
    return _shown(workspace_of(request).imports.find(principal.id, import_id))


def _archive(pieces: AsyncIterator[bytes], title: str) -> StreamingResponse:
    return StreamingResponse(pieces, media_type="application/zip", headers=_saved_as(title, "zip"))


def _shown(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "state": job.state,
        "format": job.format,
        "done": job.done,
        "total": job.total,
        "chats": job.chats,
        "prompts": job.prompts,
        "files": job.files,
        "error": None if job.error is None else str(job.error),
        "code": None if job.error is None else job.error.code,
        "values": {} if job.error is None else job.error.values,
    }


def _saved_as(title: str, ending: str) -> dict[str, str]:
    name = f"{title.replace('/', '_') or 'chat'}.{ending}"
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(clean_name(name), safe='')}",
        "X-Content-Type-Options": "nosniff",
    }
