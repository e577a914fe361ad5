"""Folders and tags of the one who asks."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from pagoda.workspace.chats.folders import LONGEST_NAME
from pagoda.workspace.requests import SignedIn, tell_tabs, workspace_of
from pagoda.workspace.routes.bodies import Body, Done
from pagoda.workspace.storage.tables import Folder

router = APIRouter(prefix="/api", tags=["folders"])


class FolderValues(Body):
    name: str = Field("", max_length=LONGEST_NAME)
    parent_id: str | None = None
    position: int = 0
    meta: dict[str, Any] = Field(default_factory=dict)


class Tags(Body):
    tags: list[str]


@router.get("/folders", summary="One's folders")
async def list_folders(request: Request, principal: SignedIn) -> dict[str, Any]:
    found = await workspace_of(request).folders.tree(principal.id)
    return {"folders": [{**shown(folder), "chats": count} for folder, count in found]}


@router.post("/folders", summary="Make a folder")
async def create_folder(request: Request, principal: SignedIn, body: FolderValues) -> dict[str, Any]:
    values = body.model_dump(exclude_unset=True)
    folder = await workspace_of(request).folders.create(principal.id, values)
    tell_tabs(request, principal)
    return shown(folder)


@router.patch("/folders/{folder_id}", summary="Change or move a folder")
async def change_folder(
    request: Request, principal: SignedIn, folder_id: str, body: FolderValues
) -> dict[str, Any]:
    values = body.model_dump(exclude_unset=True)
    folder = await workspace_of(request).folders.change(principal.id, folder_id, values)
    tell_tabs(request, principal)
    return shown(folder)


@router.delete("/folders/{folder_id}", summary="Delete a folder; what it held moves up")
async def delete_folder(request: Request, principal: SignedIn, folder_id: str) -> Done:
    await workspace_of(request).folders.delete(principal.id, folder_id)
    tell_tabs(request, principal)
    return Done()


@router.get("/tags", summary="One's tags")
async def list_tags(request: Request, principal: SignedIn) -> dict[str, Any]:
    found = await workspace_of(request).chat_list.tags(principal.id)
    return {"tags": [{"tag": tag, "chats": count} for tag, count in found.items()]}


@router.put("/chats/{chat_id}/tags", summary="Set a chat's tags")
async def set_tags(request: Request, principal: SignedIn, chat_id: str, body: Tags) -> dict[str, Any]:
    tags = await workspace_of(request).chat_list.set_tags(principal.id, chat_id, body.tags)
    tell_tabs(request, principal)
    return {"tags": tags}


def shown(folder: Folder) -> dict[str, Any]:
    """A folder as the page gets it."""
    return {
        "id": folder.id,
        "parent_id": folder.parent_id,
        "name": folder.name,
        "position": folder.position,
        "meta": folder.meta,
    }
