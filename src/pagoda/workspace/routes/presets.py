"""Presets: a base model with a system prompt, parameters and functions of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.models.service import shown
from pagoda.workspace.requests import SignedIn, check_may, workspace_of
from pagoda.workspace.routes.admin_connections import Grants
from pagoda.workspace.routes.bodies import Body, Done

router = APIRouter(prefix="/api/presets", tags=["presets"])

Ids = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100)]


class ModelValues(Body):
    """What can be set about a model. None takes system, thinking, functions or capabilities away again."""

    name: Annotated[str, Field(max_length=200)] | None = None
    description: Annotated[str, Field(max_length=4000)] | None = None
    icon: Annotated[str, Field(max_length=100_000)] | None = None
    position: Annotated[int, Field(ge=-10_000, le=10_000)] | None = None
    enabled: bool | None = None
    visibility: Literal["inherited", "everyone", "granted"] | None = None
    params: dict[str, Any] | None = None
    system: Annotated[str, Field(max_length=200_000)] | None = None
    thinking: bool | None = None
    think_tags: bool | None = None
    filter_ids: Ids | None = None
    default_filter_ids: Ids | None = None
    action_ids: Ids | None = None
    capabilities: Annotated[list[str], Field(max_length=10)] | None = None
    grants: Grants | None = None

    def given(self) -> dict[str, Any]:
        """What the request says; None stands for a value in the fields of `meta` alone."""
        values = self.model_dump(exclude_unset=True)
        columns = (*("name", "description", "icon", "position", "enabled"), "visibility", "params", "grants")
        return {k: v for k, v in values.items() if v is not None or k not in columns}


class PresetValues(ModelValues):
    base_id: str | None = None


class NewPreset(ModelValues):
    base_id: str


@router.get("", summary="One's own presets; for administrators all")
async def list_presets(request: Request, principal: SignedIn) -> dict[str, Any]:
    rows = await workspace_of(request).model_settings.presets(principal)
    return {"presets": [shown(row) for row in rows]}


@router.post("", summary="Make a preset")
async def create(request: Request, principal: SignedIn, body: NewPreset) -> dict[str, Any]:
    check_may(principal, "presets.create")
    values = _checked(principal, body)
    await _check_base(request, principal, body.base_id)
    row = await workspace_of(request).model_settings.create_preset(principal, body.base_id, values)
    return shown(row)


@router.patch("/{preset_id}", summary="Change a preset")
async def change(request: Request, principal: SignedIn, preset_id: str, body: PresetValues) -> dict[str, Any]:
    values = _checked(principal, body)
    if body.base_id is not None:
        await _check_base(request, principal, body.base_id)
    return shown(await workspace_of(request).model_settings.change_preset(principal, preset_id, values))


@router.delete("/{preset_id}", summary="Delete a preset")
async def delete(request: Request, principal: SignedIn, preset_id: str) -> Done:
    await workspace_of(request).model_settings.delete_preset(principal, preset_id)
    return Done()


def _checked(principal: Principal, body: ModelValues) -> dict[str, Any]:
    """Who else sees a preset is the administrators' to say; so is its place in the list."""
    values = body.given()
    if not principal.is_admin and (named := {"visibility", "grants", "position"} & values.keys()):
        raise WorkspaceError(403, "Only administrators share presets.", kind="permission", param=min(named))
    return values


async def _check_base(request: Request, principal: Principal, base_id: str) -> None:
    resolved = await workspace_of(request).providers.resolve(principal, base_id)
    if resolved.is_preset:
        raise WorkspaceError(400, "A preset is made from a model, not from a preset.", param="base_id")
