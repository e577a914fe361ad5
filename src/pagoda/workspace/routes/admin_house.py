"""The house's settings, its audit log and its use, for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request

from pagoda.workspace.accounts.audit import PAGE, audit_page
from pagoda.workspace.requests import Administrator, address_of, workspace_of

router = APIRouter(prefix="/api/admin", tags=["administration"])


@router.get("/settings", summary="Settings: value, default, and what locks them")
async def settings(request: Request, _by: Administrator) -> dict[str, Any]:
    return workspace_of(request).house_settings.shown()


@router.patch("/settings", summary="Change settings; null goes back to the default")
async def change_settings(
    request: Request, by: Administrator, body: Annotated[dict[str, Any], Body()]
) -> dict[str, Any]:
    house_settings = workspace_of(request).house_settings
    await house_settings.change(by, body, address_of(request))
    return house_settings.shown()


@router.get("/audit", summary="What was done, the newest first")
async def audit(
    request: Request,
    _by: Administrator,
    action: str | None = None,
    user: str | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = PAGE,
) -> dict[str, Any]:
    database = workspace_of(request).database
    return await audit_page(database, action=action, user_id=user, cursor=cursor, limit=limit)
