"""Routes of vLLM's development mode: sleeping and waking, forgetting caches, what the server was told.

Served only with `dev_mode`: whoever may call them can stop the service for everybody.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response

from pagoda import __version__
from pagoda.api.errors import json_response
from pagoda.api.model_pool import SLEEP_TAGS
from pagoda.api.protocol.common import ErrorResponse
from pagoda.api.state import ServerState, state_of

router = APIRouter(tags=["development"], responses={503: {"model": ErrorResponse}})


@router.post("/sleep", summary="Free the memory of all models", response_class=Response)
async def sleep(
    request: Request,
    level: Annotated[int, Query(ge=1, le=2)] = 1,
    mode: Literal["abort", "wait", "keep"] = "abort",
) -> Response:
    """Ends the engines until /wake_up; requests get a 503 meanwhile. Running ones end with finish_reason
    "abort", or are waited for (modes wait and keep). Levels 1 and 2 are the same here: weights are read again
    from the disk.
    """
    await state_of(request).models.sleep(level, abort=mode == "abort")
    return Response()


@router.post("/wake_up", summary="Load again what sleeps", response_class=Response)
async def wake_up(
    request: Request, tags: Annotated[list[Literal["weights", "kv_cache"]] | None, Query()] = None
) -> Response:
    """Without tags all of it. With tags, requests are served when each of them has been named."""
    await state_of(request).models.wake_up(sorted(SLEEP_TAGS.intersection(tags or ())))
    return Response()


@router.get("/is_sleeping", summary="Whether the models sleep")
async def is_sleeping(request: Request) -> dict[str, bool]:
    return {"is_sleeping": state_of(request).models.is_sleeping}


@router.post("/reset_prefix_cache", summary="Forget cached prompts", response_class=Response)
async def reset_prefix_cache(request: Request) -> Response:
    """Of every loaded model; blocks that running requests hold stay."""
    for model in state_of(request).models.list():
        llm = model.loaded_llm
        if llm is not None:
            await llm.reset_prefix_cache()
    return Response()


@router.post("/reset_mm_cache", summary="Does nothing: there is no cache of images", response_class=Response)
@router.post(
    "/reset_encoder_cache", summary="Does nothing: there is no cache of encoders", response_class=Response
)
async def reset_other_cache() -> Response:
    return Response()


@router.get("/server_info", summary="What the server was told")
async def server_info(request: Request, config_format: Literal["text", "json"] = "text") -> Response:
    """Settings of the server and of every model (keys are not shown), and the machine."""
    state = state_of(request)
    config = _settings(state)
    return json_response(
        {
            "vllm_config": config if config_format == "json" else _text(config),
            "models": [msgspec.to_builtins(status) for status in state.models.status()],
            "system_env": {
                "pagoda": __version__,
                "python": sys.version.split()[0],
                "platform": platform.platform(),
                "cpu_count": os.cpu_count(),
            },
        }
    )


def _settings(state: ServerState) -> dict[str, Any]:
    server = msgspec.to_builtins(state.settings, enc_hook=str)
    server["api_keys"] = len(state.settings.api_keys)
    return {
        "server": server,
        "models": {model.name: msgspec.to_builtins(model.config) for model in state.models.list()},
    }


def _text(value: dict[str, Any], prefix: str = "") -> str:
    parts = [
        _text(item, f"{prefix}{name}.") if isinstance(item, dict) and item else f"{prefix}{name}={item!r}"
        for name, item in value.items()
    ]
    return ", ".join(parts)
