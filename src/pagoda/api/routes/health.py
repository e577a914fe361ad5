"""/health, /ping, /version, /load: open to everyone, for supervisors and load balancers."""

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
_UNAVAILABLE: dict[int | str, dict[str, str]] = {503: {"description": "Not now."}}


@router.get("/health", summary="Whether requests are served", responses=_UNAVAILABLE, response_class=Response)
@router.get("/ping", summary="The same, by SageMaker's name", responses=_UNAVAILABLE, response_class=Response)
@router.post("/ping", include_in_schema=False)
async def health(request: Request) -> Response:
    """200 with no body when requests are served; else 503 with the state and its reason.

    The first model decides. One that was unloaded is loaded again by the next request, so it counts as well.
    """
    state = state_of(request)
    if state.closed:
        return json_response({"status": "dead", "reason": "the server is shutting down"}, 503)
    model = state.models.default
    llm = model.loaded_llm
    status = "starting" if llm is None else llm.status
    if status == "ready" or (status == "starting" and model.was_loaded):
        return Response()
    reason = (llm.status_reason if llm is not None else None) or _REASONS[status]
    return json_response({"status": status, "reason": reason}, 503)


@router.get("/version", summary="Pagoda's version")
async def version() -> dict[str, str]:
    return {"version": __version__}


@router.get("/load", summary="Requests in flight")
async def load(request: Request) -> dict[str, int]:
    """Requests for models' answers that the server works on now."""
    return {"server_load": state_of(request).load}
