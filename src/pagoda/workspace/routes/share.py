"""Links to chats, for everybody who is signed in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from pagoda.workspace.chats.sharing import shared_at
from pagoda.workspace.generation.run import shown as shown_message
from pagoda.workspace.requests import SignedIn, check_may, tell_tabs, workspace_of
from pagoda.workspace.routes.bodies import Done

router = APIRouter(prefix="/api", tags=["share"])
_OF_THE_OWNER = ("chat_id", "rating")


@router.post("/chats/{chat_id}/share", summary="Make a link to a chat, or renew what it shows")
async def share(request: Request, principal: SignedIn, chat_id: str) -> dict[str, Any]:
    check_may(principal, "chat.share")
    chat = await workspace_of(request).sharing.share(principal.id, chat_id)
    return {"share_id": chat.share_id, "shared_at": shared_at(chat)}


@router.delete("/chats/{chat_id}/share", summary="Withdraw the link to a chat")
async def withdraw(request: Request, principal: SignedIn, chat_id: str) -> Done:
    await workspace_of(request).sharing.withdraw(principal.id, chat_id)
    return Done()


@router.get("/shared/{share_id}", summary="What a link shows")
async def shared(request: Request, principal: SignedIn, share_id: str) -> dict[str, Any]:
    """The branch that was visible when the link was made."""
    found = await workspace_of(request).sharing.show(share_id)
    messages = [
        {name: value for name, value in shown_message(each).items() if name not in _OF_THE_OWNER}
        for each in found.messages
    ]
    return {
        "share_id": share_id,
        "title": found.chat.title,
        "owner": found.owner,
        "own": found.chat.user_id == principal.id,
        "shared_at": found.shared_at,
        "messages": messages,
    }


@router.post("/shared/{share_id}/copy", summary="Copy what a link shows into one's own chats")
async def copy(request: Request, principal: SignedIn, share_id: str) -> dict[str, Any]:
    chat_id = await workspace_of(request).sharing.copy(principal.id, share_id)
    tell_tabs(request, principal)
    return {"chat_id": chat_id}
