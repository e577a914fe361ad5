"""A user's own connections to other servers, where that is allowed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.providers.connections import shown
from pagoda.workspace.requests import check_may, signed_in, workspace_of
from pagoda.workspace.routes.bodies import Body, Done

router = APIRouter(prefix="/api/connections", tags=["connections"])

Name = Annotated[str, Field(max_length=200)]
Url = Annotated[str, Field(max_length=2000)]
Key = Annotated[str, Field(max_length=10_000)]
Prefix = Annotated[str, Field(max_length=60, pattern=r"^[\w-]*$")]
Allowed = Annotated[list[Annotated[str, Field(min_length=1, max_length=300)]], Field(max_length=2000)]


class ConnectionValues(Body):
    """key: never sent back; left out, it stays."""

    name: Name | None = None
    base_url: Url | None = None
    key: Key | None = None
    prefix: Prefix | None = None
    allowed_models: Allowed | None = None
    enabled: bool | None = None

    def given(self) -> dict[str, Any]:
        """What the request says; None stands for a value in two fields alone."""
        values = self.model_dump(exclude_unset=True)
        return {k: v for k, v in values.items() if v is not None or k in ("key", "allowed_models")}


class NewConnection(ConnectionValues):
    base_url: Url


async def may_have_own(principal: Annotated[Principal, Depends(signed_in)]) -> Principal:
    check_may(principal, "connections.own")
    return principal


Owner = Annotated[Principal, Depends(may_have_own)]


@router.get("", summary="One's own connections")
async def list_connections(request: Request, principal: Owner) -> dict[str, Any]:
    return {"connections": [shown(each) for each in workspace_of(request).connections.of(principal.id)]}


@router.post("", summary="Add a connection")
async def create(request: Request, principal: Owner, body: NewConnection) -> dict[str, Any]:
    return shown(await workspace_of(request).connections.create(principal.id, body.given()))


@router.patch("/{connection_id}", summary="Change a connection")
async def change(
    request: Request, principal: Owner, connection_id: str, body: ConnectionValues
) -> dict[str, Any]:
    connections = workspace_of(request).connections
    return shown(await connections.change(principal.id, connection_id, body.given()))


@router.delete("/{connection_id}", summary="Delete a connection")
async def delete(request: Request, principal: Owner, connection_id: str) -> Done:
    await workspace_of(request).connections.delete(principal.id, connection_id)
    return Done()


@router.post("/{connection_id}/test", summary="Ask a connection for its models")
async def test(request: Request, principal: Owner, connection_id: str) -> dict[str, Any]:
    return await workspace_of(request).connections.test(principal.id, connection_id)
