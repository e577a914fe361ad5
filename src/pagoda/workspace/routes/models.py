"""The models that a user may choose."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from pagoda.workspace.requests import SignedIn, workspace_of

router = APIRouter(tags=["models"])


@router.get("/api/models", summary="Models to choose from")
async def models(request: Request, principal: SignedIn) -> dict[str, Any]:
    """Waits for no connection: what is known is shown, with the state of what is away."""
    return await workspace_of(request).providers.models(principal)
