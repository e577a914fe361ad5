"""Functions as administrators see them: their text, switches, settings and packages."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from pagoda.workspace.accounts.audit import record
from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.functions.service import FunctionService, shown
from pagoda.workspace.requests import Administrator, address_of, workspace_of
from pagoda.workspace.routes.bodies import Body, Done

router = APIRouter(prefix="/api/admin/functions", tags=["functions"])


class NewFunction(Body):
    content: str
    id: str | None = None


class Changes(Body):
    content: str | None = None
    name: str | None = Field(None, min_length=1, max_length=200)
    active: bool | None = None
    is_global: bool | None = None


class Export(Body):
    """Open WebUI's export of functions."""

    functions: list[dict[str, Any]] = Field(max_length=500)


class Values(Body):
    values: dict[str, Any]


async def _record(
    request: Request, admin: Principal, action: str, function_id: str, detail: dict[str, Any] | None = None
) -> None:
    async with workspace_of(request).database.write() as session:
        record(
            session,
            admin,
            action,
            target=("function", function_id),
            detail=detail,
            address=address_of(request),
        )


def _service(request: Request) -> FunctionService:
    return workspace_of(request).functions.service


@router.get("", summary="All functions")
async def list_functions(request: Request, _admin: Administrator, content: bool = False) -> dict[str, Any]:
    """content: with their texts."""
    service = _service(request)
    return {
        "functions": [shown(each, content=content) for each in await service.all()],
        "safe_mode": service.host.safe_mode,
    }


@router.post("", summary="Add a function; it begins inactive")
async def create_function(request: Request, admin: Administrator, body: NewFunction) -> dict[str, Any]:
    function = await _service(request).create(body.content, body.id)
    await _record(request, admin, "function.create", function.id)
    return shown(function, content=True)


@router.post("/import", summary="Add functions of an export; they begin inactive")
async def import_functions(request: Request, admin: Administrator, body: Export) -> dict[str, Any]:
    """Gives those that came in, and those that did not with their reasons."""
    taken, left = await _service(request).take_export(body.functions)
    for each in taken:
        await _record(request, admin, "function.create", each.id, {"import": True})
    return {"functions": [shown(each) for each in taken], "left": left}


@router.get("/{function_id}", summary="A function with its text")
async def get_function(request: Request, _admin: Administrator, function_id: str) -> dict[str, Any]:
    return shown(await _service(request).store.get(function_id), content=True)


@router.patch("/{function_id}", summary="Change a function")
async def change_function(
    request: Request, admin: Administrator, function_id: str, body: Changes
) -> dict[str, Any]:
    service = _service(request)
    function = await service.store.get(function_id)
    if body.content is not None and body.content != function.code.content:
        function = await service.rewrite(function_id, body.content)
    values = body.model_dump(exclude_none=True, exclude={"content"})
    if values:
        function = await service.switch(function_id, **values)
    told = {**values, "content": body.content is not None}
    await _record(request, admin, "function.change", function_id, told)
    return shown(function, content=True)


@router.delete("/{function_id}", summary="Remove a function and its settings")
async def remove_function(request: Request, admin: Administrator, function_id: str) -> Done:
    await _service(request).remove(function_id)
    await _record(request, admin, "function.remove", function_id)
    return Done()


@router.get("/{function_id}/valves", summary="Settings of a function: schema and values, without secrets")
async def get_valves(request: Request, admin: Administrator, function_id: str) -> dict[str, Any]:
    return await _service(request).valves(function_id, admin)


@router.put("/{function_id}/valves", summary="Change the settings of a function")
async def put_valves(
    request: Request, admin: Administrator, function_id: str, body: Values
) -> dict[str, Any]:
    saved = await _service(request).save_valves(function_id, body.values, admin)
    await _record(request, admin, "function.valves", function_id, {"names": sorted(body.values)})
    return saved


@router.post("/{function_id}/requirements", summary="Install the packages that a function asks for")
async def install_requirements(request: Request, admin: Administrator, function_id: str) -> dict[str, str]:
    output = await _service(request).install_requirements(function_id)
    await _record(request, admin, "function.requirements", function_id)
    return {"output": output}
