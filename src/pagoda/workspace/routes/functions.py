"""Functions as users meet them: their own settings of them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from pagoda.workspace.requests import SignedIn, check_may, workspace_of
from pagoda.workspace.routes.bodies import Body

router = APIRouter(prefix="/api", tags=["functions"])


class Values(Body):
    values: dict[str, Any]


@router.get("/functions", summary="Functions with settings of one's own")
async def list_functions(request: Request, principal: SignedIn) -> dict[str, Any]:
    found = await workspace_of(request).functions.service.all()
    return {
        "functions": [
            {"id": each.id, "name": each.name, "type": each.type}
            for each in found
            if each.active and each.info.get("user_valves") is not None
        ]
    }


@router.get("/functions/{function_id}/user-valves", summary="One's own settings of a function")
async def get_user_valves(request: Request, principal: SignedIn, function_id: str) -> dict[str, Any]:
    check_may(principal, "functions.use")
    return await workspace_of(request).functions.service.user_valves(function_id, principal)


@router.put("/functions/{function_id}/user-valves", summary="Change one's own settings of a function")
async def put_user_valves(
    request: Request, principal: SignedIn, function_id: str, body: Values
) -> dict[str, Any]:
    check_may(principal, "functions.use")
    return await workspace_of(request).functions.service.save_user_valves(function_id, body.values, principal)


@router.post("/chats/{chat_id}/messages/{message_id}/actions/{action}", summary="Press an action's button")
async def run_action(
    request: Request, principal: SignedIn, chat_id: str, message_id: str, action: str
) -> dict[str, Any]:
    check_may(principal, "functions.use")
    return await workspace_of(request).functions.actions.run(principal, chat_id, message_id, action)
