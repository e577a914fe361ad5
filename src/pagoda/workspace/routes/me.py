"""One's own account: name, settings, password, sessions, keys."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from pagoda.workspace.requests import Known, SignedIn, check_may, workspace_of
from pagoda.workspace.routes.bodies import Body, Done
from pagoda.workspace.storage.tables import ApiKey

router = APIRouter(prefix="/api/me", tags=["me"])


class Changes(Body):
    name: str | None = None
    settings: dict[str, Any] | None = None


class NewPassword(Body):
    current: str
    new: str


class NewKey(Body):
    name: str = ""


@router.get("", summary="One's own account")
async def me(principal: Known) -> dict[str, Any]:
    return principal.shown()


@router.patch("", summary="Change name or settings")
async def change(request: Request, principal: SignedIn, body: Changes) -> Done:
    await workspace_of(request).accounts.update_me(principal.id, name=body.name, settings=body.settings)
    return Done()


@router.post("/password", summary="Change the password")
async def change_password(request: Request, principal: Known, body: NewPassword) -> Done:
    await workspace_of(request).accounts.change_password(principal, body.current, body.new)
    return Done()


@router.get("/sessions", summary="Where one is signed in")
async def sessions(request: Request, principal: Known) -> dict[str, Any]:
    found = await workspace_of(request).accounts.sessions(principal.id, principal.session_id)
    return {"sessions": found}


@router.delete("/sessions/{session_id}", summary="Sign out elsewhere")
async def revoke(request: Request, principal: Known, session_id: str) -> Done:
    await workspace_of(request).accounts.revoke_session(principal.id, session_id)
    return Done()


@router.get("/keys", summary="One's keys for /v1")
async def keys(request: Request, principal: SignedIn) -> dict[str, Any]:
    return {"keys": [_shown(row) for row in await workspace_of(request).accounts.keys(principal.id)]}


@router.post("/keys", summary="Make a key; it is shown once")
async def create_key(request: Request, principal: SignedIn, body: NewKey) -> dict[str, Any]:
    check_may(principal, "keys.create")
    row, key = await workspace_of(request).accounts.create_key(principal.id, body.name)
    return {**_shown(row), "key": key}


@router.delete("/keys/{key_id}", summary="Delete a key")
async def delete_key(request: Request, principal: SignedIn, key_id: str) -> Done:
    await workspace_of(request).accounts.delete_key(principal.id, key_id)
    return Done()


def _shown(row: ApiKey) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "last_used_at": row.last_used_at,
    }
