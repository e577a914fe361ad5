"""/health and /version: open to everyone, for supervisors and load balancers."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from pagoda import __version__
from pagoda.api.errors import json_response
from pagoda.api.state import state_of

router = APIRouter(tags=["server"])

_REASONS = {
    "starting": "the model is loading",
    "degraded": "the engine is being restarted",
    "dead": "the engine has stopped",
}


@router.get("/health", summary="Whether requests are served", responses={503: {"description": "Not now."}})
async def health(request: Request) -> Response:
    """200 with no body when requests are served; else 503 with the state and its reason."""
    state = state_of(request)
    llm = state.models.default.llm
    status = llm.status
    if state.draining.is_set():
        return json_response({"status": "dead", "reason": "the server is shutting down"}, 503)
    if status == "ready":
        return Response()
    return json_response({"status": status, "reason": llm.status_reason or _REASONS[status]}, 503)


@router.get("/version", summary="Pagoda's version")
async def version() -> dict[str, str]:
    return {"version": __version__}
