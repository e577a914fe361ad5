"""/v1/models."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.errors import json_response
from pagoda.api.hooks import key_of
from pagoda.api.model_pool import ServedModel
from pagoda.api.protocol.common import ErrorResponse
from pagoda.api.protocol.models import ModelCard, ModelList, ModelPermission
from pagoda.api.state import ServerState, state_of

_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"description": "An API key is needed."},
    503: {"model": ErrorResponse},
}

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("", summary="The models that are served", responses={200: {"model": ModelList}, **_ERRORS})
async def list_models(request: Request) -> Response:
    """Every name of every model, loaded or not. 503 until the first model is loaded."""
    state = state_of(request)
    state.check_serving()
    state.models.check_started()
    await state.models.wait_foreseen()
    cards = [_card(state, model, name) for model in state.models.list() for name in model.names]
    return json_response(ModelList(data=[*cards, *await _further(state, request)]).model_dump())


@router.get(
    "/{model:path}",
    summary="One model",
    responses={200: {"model": ModelCard}, 404: {"model": ErrorResponse}, **_ERRORS},
)
async def get_model(request: Request, model: str) -> Response:
    state = state_of(request)
    state.check_serving()
    for card in await _further(state, request):
        if card.id == model:
            return json_response(card.model_dump())
    found = state.models.find(model)
    state.models.check_started()
    await state.models.wait_foreseen()
    return json_response(_card(state, found, model).model_dump())


async def _further(state: ServerState, request: Request) -> list[ModelCard]:
    """Models of hooks for whoever asks, such as presets and pipes."""
    if state.hooks is None:
        return []
    served = {name for model in state.models.list() for name in model.names}
    return [
        ModelCard(
            id=each["id"],
            created=state.created,
            root=each["id"],
            parent=each["base"],
            max_model_len=each["context_length"],
            permission=[ModelPermission(id=f"modelperm-{each['id']}", created=state.created)],
            status="loaded",
        )
        for each in await state.hooks.models(key_of(request.headers))
        if each["id"] not in served
    ]


def _card(state: ServerState, model: ServedModel, name: str) -> ModelCard:
    permission = ModelPermission(id=f"modelperm-{name}", created=state.created)
    return ModelCard(
        id=name,
        created=state.created,
        root=model.root,
        parent=model.parent,
        max_model_len=model.max_model_len,
        permission=[permission],
        status=model.residence,
    )
