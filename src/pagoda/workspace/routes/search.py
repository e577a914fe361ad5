"""Searching in the chats of the one who asks."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import APIRouter, Request

from pagoda.workspace.requests import SignedIn, workspace_of

router = APIRouter(prefix="/api", tags=["search"])


@router.get("/search", summary="Search in titles and messages")
async def search(request: Request, principal: SignedIn, q: str) -> dict[str, Any]:
    """Words and "phrases"; excerpts have U+0001 before and U+0002 after each hit."""
    hits = await workspace_of(request).search.find(principal.id, q)
    return {"hits": [dataclasses.asdict(hit) for hit in hits]}
