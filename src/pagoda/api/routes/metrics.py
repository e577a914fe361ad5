"""/metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pagoda.api.state import state_of

router = APIRouter(tags=["server"])


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
@router.get("/metrics/", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """The names are vLLM's, so its dashboards work."""
    text = generate_latest(state_of(request).metrics.registry)
    return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})
