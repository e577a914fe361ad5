"""Export and import of chats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from pagoda.workspace.chats.formats import open_webui
from pagoda.workspace.chats.transfer import IMPORT_BYTES, one
from pagoda.workspace.files.receive import clean_name, received
from pagoda.workspace.requests import SignedIn, check_may, workspace_of

router = APIRouter(prefix="/api", tags=["transfer"])


@router.get("/chats/{chat_id}/export", summary="A chat as a file")
async def export_chat(
    request: Request,
    principal: SignedIn,
    chat_id: str,
    format: Literal["json", "markdown", "openwebui"] = "json",  # noqa: A002 - the name of the query
) -> Response:
    """json holds all that is known; markdown the visible branch."""
    transfer = workspace_of(request).transfer
    chat = await transfer.chat(principal.id, chat_id)
    if format == "markdown":
        text = await transfer.markdown(principal.id, chat_id)
        return Response(text, media_type="text/markdown", headers=_saved_as(chat["title"], "md"))
    body = one(chat) if format == "json" else msgspec.json.encode([open_webui.write(chat)])
    return Response(body, media_type="application/json", headers=_saved_as(chat["title"], "json"))


@router.get("/export", summary="All one's chats as a file")
async def export_all(
    request: Request,
    principal: SignedIn,
    format: Literal["json", "openwebui"] = "json",  # noqa: A002 - the name of the query
) -> StreamingResponse:
    transfer = workspace_of(request).transfer
    pieces: AsyncIterator[bytes] = (
        transfer.account(principal.id) if format == "json" else transfer.account_for_open_webui(principal.id)
    )
    return StreamingResponse(pieces, media_type="application/json", headers=_saved_as("chats", "json"))


@router.post("/import", summary="Take in a file of chats")
async def import_chats(request: Request, principal: SignedIn) -> dict[str, Any]:
    """A form with a file, or the file as the body: Pagoda's, Open WebUI's or ChatGPT's format."""
    check_may(principal, "chat.import")
    async with received(request, IMPORT_BYTES, bare=True) as upload:
        return await workspace_of(request).transfer.take_in(principal.id, upload.file)


def _saved_as(title: str, ending: str) -> dict[str, str]:
    name = f"{title.replace('/', '_') or 'chat'}.{ending}"
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(clean_name(name), safe='')}",
        "X-Content-Type-Options": "nosniff",
    }
