"""Adapters while the server runs, as vLLM offers it: served only with `allow_lora_updating`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from pagoda.api.body import read_body
from pagoda.api.errors import ApiError
from pagoda.api.protocol.common import ErrorResponse
from pagoda.api.protocol.lora import LoadLoraRequest, UnloadLoraRequest
from pagoda.api.served_model import ServedModel
from pagoda.api.state import state_of
from pagoda.engine.forecast import ForecastError, forecast

router = APIRouter(tags=["adapters"])

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
    401: {"description": "An API key is needed."},
    **{status: {"model": ErrorResponse} for status in (400, 404, 413, 503)},
}
_WRONG = "InvalidUserInput"  #: vLLM's type of these errors


@router.post(
    "/v1/load_lora_adapter",
    summary="Serve an adapter",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": LoadLoraRequest.model_json_schema()}},
        }
    },
)
async def load_lora_adapter(http: Request) -> PlainTextResponse:
    """Checks the adapter against its base and serves it as a model of its own, loaded with the first request
    for it.
    """
    state = state_of(http)
    state.check_serving()
    request = await read_body(http, LoadLoraRequest, state.settings.max_body_bytes)
    name = request.lora_name
    if not name or not request.lora_path:
        raise ApiError(400, "Both 'lora_name' and 'lora_path' must be provided.", kind=_WRONG)
    base = state.models.find(request.base_model_name)
    old = _adapter(state.models.list(), name)
    taken = any(name in model.names for model in state.models.list())
    if taken and (old is None or not request.load_inplace):
        raise ApiError(
            400,
            f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, "
            "set 'load_inplace' to True.",
            param="lora_name",
            kind=_WRONG,
        )
    adapter = base.with_adapter(name, str(Path(request.lora_path).expanduser()))
    try:
        await asyncio.to_thread(forecast, adapter.config, None)
    except ForecastError as error:
        raise ApiError(404 if error.no_adapter else 400, str(error), param="lora_path") from error
    if old is not None:
        state.models.remove(name)
    try:
        state.models.add(adapter)
    except ValueError as error:  # another request was quicker
        raise ApiError(400, f"The lora adapter '{name}' has already been loaded.", kind=_WRONG) from error
    return PlainTextResponse(f"Success: LoRA adapter '{name}' added successfully.")


@router.post(
    "/v1/unload_lora_adapter",
    summary="Serve an adapter no more",
    response_class=Response,
    responses=_RESPONSES,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": UnloadLoraRequest.model_json_schema()}},
        }
    },
)
async def unload_lora_adapter(http: Request) -> PlainTextResponse:
    """Requests that run on it end first; its memory is free then."""
    state = state_of(http)
    state.check_serving()
    request = await read_body(http, UnloadLoraRequest, state.settings.max_body_bytes)
    name = request.lora_name
    if not name:
        message = "'lora_name' needs to be provided to unload a LoRA adapter."
        raise ApiError(400, message, param="lora_name", kind=_WRONG)
    if _adapter(state.models.list(), name) is None:
        raise ApiError(404, f"The lora adapter '{name}' cannot be found.", param="lora_name")
    state.models.remove(name)
    return PlainTextResponse(f"Success: LoRA adapter '{name}' removed successfully.")


def _adapter(models: list[ServedModel], name: str) -> ServedModel | None:
    return next((model for model in models if model.parent is not None and name in model.names), None)
