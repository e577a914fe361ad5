"""Groups and invitations, for administrators."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from pagoda.workspace.accounts.principal import DEFAULT_PERMISSIONS
from pagoda.workspace.requests import Administrator, address_of, workspace_of
from pagoda.workspace.routes.bodies import Body, Done

router = APIRouter(prefix="/api/admin", tags=["administration"])


class GroupValues(Body):
    name: str = ""
    description: Annotated[str, Field(max_length=1000)] = ""
    permissions: dict[str, bool] = Field(default_factory=dict)


class NewInvitation(Body):
    """email: None for whoever has the link."""

    email: str | None = None
    role: Literal["admin", "user"] = "user"
    hours: Annotated[int, Field(ge=1, le=24 * 90)] = 24 * 7


@router.get("/groups", summary="Groups, and what there is to permit")
async def groups(request: Request, _by: Administrator) -> dict[str, Any]:
    workspace = workspace_of(request)
    return {
        "groups": await workspace.groups.everything(),
        "permissions": {**DEFAULT_PERMISSIONS, **workspace.settings.permissions},
    }


@router.post("/groups", summary="Make a group")
async def create_group(request: Request, by: Administrator, body: GroupValues) -> dict[str, Any]:
    return await workspace_of(request).groups.create(by, body.model_dump(), address_of(request))


@router.patch("/groups/{group_id}", summary="Change a group")
async def change_group(request: Request, by: Administrator, group_id: str, body: GroupValues) -> Done:
    values = body.model_dump(exclude_unset=True)
    await workspace_of(request).groups.change(by, group_id, values, address_of(request))
    return Done()


@router.delete("/groups/{group_id}", summary="Delete a group; its members stay users")
async def delete_group(request: Request, by: Administrator, group_id: str) -> Done:
    await workspace_of(request).groups.delete(by, group_id, address_of(request))
    return Done()


@router.get("/groups/{group_id}/members", summary="Ids of the members")
async def members(request: Request, _by: Administrator, group_id: str) -> dict[str, list[str]]:
    return {"members": await workspace_of(request).groups.members(group_id)}


@router.put("/groups/{group_id}/members/{user_id}", summary="Take somebody in")
async def add_member(request: Request, by: Administrator, group_id: str, user_id: str) -> Done:
    await workspace_of(request).groups.add_member(by, group_id, user_id, address_of(request))
    return Done()


@router.delete("/groups/{group_id}/members/{user_id}", summary="Take somebody out")
async def remove_member(request: Request, by: Administrator, group_id: str, user_id: str) -> Done:
    await workspace_of(request).groups.remove_member(by, group_id, user_id, address_of(request))
    return Done()


@router.get("/invitations", summary="Invitations, the newest first")
async def invitations(request: Request, _by: Administrator) -> dict[str, Any]:
    return {"invitations": await workspace_of(request).invitations.everything()}


@router.post("/invitations", summary="Invite somebody; the link is told once")
async def invite(request: Request, by: Administrator, body: NewInvitation) -> dict[str, Any]:
    return await workspace_of(request).invitations.create(
        by, body.email, body.role, body.hours, address_of(request)
    )


@router.delete("/invitations/{invitation_id}", summary="Take an invitation back")
async def uninvite(request: Request, by: Administrator, invitation_id: str) -> Done:
    await workspace_of(request).invitations.delete(by, invitation_id, address_of(request))
    return Done()
