"""Users, for administrators."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from pagoda.workspace.accounts.users import PAGE
from pagoda.workspace.requests import Administrator, address_of, workspace_of
from pagoda.workspace.routes.bodies import Body, Done

router = APIRouter(prefix="/api/admin/users", tags=["administration"])

Role = Literal["admin", "user", "pending"]


class NewUser(Body):
    """password: None for one that is made here and told once."""

    name: str
    email: str
    role: Role = "user"
    password: str | None = None


class UserChanges(Body):
    name: str = ""
    email: str = ""
    role: Role = "user"
    active: bool = True


class Reset(Body):
    password: str | None = None


@router.get("", summary="Users by name")
async def list_users(
    request: Request,
    _by: Administrator,
    search: str = "",
    role: Role | None = None,
    group: str | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = PAGE,
) -> dict[str, Any]:
    return await workspace_of(request).users.page(
        search=search, role=role, group_id=group, cursor=cursor, limit=limit
    )


@router.post("", summary="Make an account for somebody")
async def create(request: Request, by: Administrator, body: NewUser) -> dict[str, Any]:
    """`password` in the answer holds for one sign-in, and is told once."""
    users = workspace_of(request).users
    made, password = await users.create(
        by, body.name, body.email, body.role, body.password, address_of(request)
    )
    return {**await users.get(made), "password": password}


@router.get("/{user_id}", summary="A user")
async def get(request: Request, _by: Administrator, user_id: str) -> dict[str, Any]:
    return await workspace_of(request).users.get(user_id)


@router.patch("/{user_id}", summary="Change, approve, deactivate")
async def change(request: Request, by: Administrator, user_id: str, body: UserChanges) -> dict[str, Any]:
    users = workspace_of(request).users
    await users.change(by, user_id, body.model_dump(exclude_unset=True), address_of(request))
    return await users.get(user_id)


@router.post("/{user_id}/password", summary="Give a new password; signs out everywhere")
async def reset_password(
    request: Request, by: Administrator, user_id: str, body: Reset
) -> dict[str, str | None]:
    users = workspace_of(request).users
    return {"password": await users.reset_password(by, user_id, body.password, address_of(request))}


@router.get("/{user_id}/sessions", summary="Where somebody is signed in")
async def sessions(request: Request, by: Administrator, user_id: str) -> dict[str, Any]:
    workspace = workspace_of(request)
    await workspace.users.get(user_id)
    return {"sessions": await workspace.accounts.sessions(user_id, by.session_id)}


@router.delete("/{user_id}/sessions", summary="Sign somebody out everywhere")
async def sign_out(request: Request, by: Administrator, user_id: str) -> dict[str, int]:
    return {"ended": await workspace_of(request).users.sign_out(by, user_id, address_of(request))}


@router.delete("/{user_id}", summary="Delete somebody with everything that is theirs")
async def delete(request: Request, by: Administrator, user_id: str) -> Done:
    workspace = workspace_of(request)
    await workspace.users.delete(by, user_id, address_of(request))
    await workspace.generations.stop_user(user_id)
    return Done()
