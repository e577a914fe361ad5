"""/v1/models."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from pagoda.api.errors import ApiError, json_response
from pagoda.api.protocol.common import ErrorResponse
from pagoda.api.protocol.models import ModelCard, ModelList, ModelPermission
from pagoda.api.state import ServerState, state_of

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.get("", summary="The models that are served", responses={200: {"model": ModelList}})
async def list_models(request: Request) -> Response:
    state = state_of(request)
    state.check_ready()
    cards = [_card(state, name) for name in state.settings.served_model_names]
    return json_response(ModelList(data=cards).model_dump())


@router.get(
    "/{model:path}",
    summary="One model",
    responses={200: {"model": ModelCard}, 404: {"model": ErrorResponse}},
)
async def get_model(request: Request, model: str) -> Response:
    state = state_of(request)
    state.check_ready()
    if model not in state.settings.served_model_names:
        raise ApiError(404, f"The model `{model}` does not exist.", param="model")
    return json_response(_card(state, model).model_dump())


def _card(state: ServerState, name: str) -> ModelCard:
    permission = ModelPermission(id=f"modelperm-{name}", created=state.created)
    return ModelCard(
        id=name,
        created=state.created,
        root=state.settings.model_root or name,
        max_model_len=state.llm.info.max_model_len,
        permission=[permission],
    )
