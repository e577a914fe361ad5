"""The house's connections."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from pagoda.workspace.providers.connections import shown
from pagoda.workspace.requests import Administrator, workspace_of
from pagoda.workspace.routes.bodies import Body, Done
from pagoda.workspace.routes.connections import ConnectionValues, Url

router = APIRouter(prefix="/api/admin/connections", tags=["administration"])


class GrantTo(Body):
    type: Literal["user", "group", "everyone"]
    id: str = ""


Grants = Annotated[list[GrantTo], Field(max_length=1000)]


class HouseConnectionValues(ConnectionValues):
    """grants: who may use it, if not everyone; its models inherit that."""

    visibility: Literal["everyone", "granted"] | None = None
    position: Annotated[int, Field(ge=-10_000, le=10_000)] | None = None
    grants: Grants | None = None


class NewHouseConnection(HouseConnectionValues):
    base_url: Url


@router.get("", summary="The house's connections")
async def list_connections(request: Request, principal: Administrator) -> dict[str, Any]:
    workspace = workspace_of(request)
    found = [
        {**shown(each), "grants": await workspace.model_settings.grants("connection", each.info.id)}
        for each in workspace.connections.of(None)
    ]
    return {"connections": found}


@router.post("", summary="Add a connection")
async def create(request: Request, principal: Administrator, body: NewHouseConnection) -> dict[str, Any]:
    values = body.given()
    grants = values.pop("grants", None)
    live = await workspace_of(request).connections.create(None, values)
    return await _granted(request, live.info.id, grants)


@router.patch("/{connection_id}", summary="Change a connection")
async def change(
    request: Request, principal: Administrator, connection_id: str, body: HouseConnectionValues
) -> dict[str, Any]:
    values = body.given()
    grants = values.pop("grants", None)
    await workspace_of(request).connections.change(None, connection_id, values)
    return await _granted(request, connection_id, grants)


@router.delete("/{connection_id}", summary="Delete a connection")
async def delete(request: Request, principal: Administrator, connection_id: str) -> Done:
    workspace = workspace_of(request)
    await workspace.connections.delete(None, connection_id)
    await workspace.model_settings.set_grants("connection", connection_id, [])
    return Done()


@router.post("/{connection_id}/test", summary="Ask a connection for its models")
async def test(request: Request, principal: Administrator, connection_id: str) -> dict[str, Any]:
    return await workspace_of(request).connections.test(None, connection_id)


async def _granted(
    request: Request, connection_id: str, grants: list[dict[str, Any]] | None
) -> dict[str, Any]:
    workspace = workspace_of(request)
    if grants is not None:
        await workspace.model_settings.set_grants("connection", connection_id, grants)
    live = workspace.connections.find(None, connection_id)
    return {**shown(live), "grants": await workspace.model_settings.grants("connection", connection_id)}
