"""Settings of the house's models."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from pagoda.workspace.models.service import META, VISIBILITIES
from pagoda.workspace.models.service import shown as shown_row
from pagoda.workspace.requests import Administrator, workspace_of
from pagoda.workspace.routes.bodies import Body, Done
from pagoda.workspace.routes.presets import ModelValues

router = APIRouter(prefix="/api/admin/models", tags=["administration"])

_UNSET: dict[str, Any] = {
    "base_id": None,
    "owner_id": None,
    "name": "",
    "description": "",
    "icon": "",
    "position": 0,
    "enabled": True,
    "visibility": VISIBILITIES[0],
    "params": {},
    **dict.fromkeys(META),
}


class Order(Body):
    ids: Annotated[list[str], Field(max_length=5000)]


@router.get("", summary="All models of the house, and what is set about them")
async def list_models(request: Request, principal: Administrator) -> dict[str, Any]:
    workspace = workspace_of(request)
    found = []
    for entry, row in await workspace.providers.everything():
        found.append(
            {
                **(_UNSET if row is None else shown_row(row)),
                "id": entry.id,
                "model_name": entry.model.name,
                "connection": entry.live.info.id if entry.live is not None else entry.provider.id,
                "context_length": entry.model.context_length,
                "state": entry.model.state,
                "error": entry.model.error,
                "grants": await workspace.model_settings.grants("model", entry.id),
            }
        )
    found.sort(key=lambda each: each["position"])
    return {"models": found}


@router.put("/order", summary="Models in the order of the list")
async def order(request: Request, principal: Administrator, body: Order) -> Done:
    await workspace_of(request).model_settings.order(body.ids)
    return Done()


@router.patch("/{model_id:path}", summary="Set something about a model")
async def change(
    request: Request, principal: Administrator, model_id: str, body: ModelValues
) -> dict[str, Any]:
    settings = workspace_of(request).model_settings
    row = await settings.change(model_id, body.given())
    return {**shown_row(row), "grants": await settings.grants("model", model_id)}


@router.delete("/{model_id:path}", summary="Forget what is set about a model")
async def reset(request: Request, principal: Administrator, model_id: str) -> Done:
    await workspace_of(request).model_settings.reset(model_id)
    return Done()
