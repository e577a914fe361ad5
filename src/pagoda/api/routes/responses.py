"""/v1/responses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from pagoda.api.body import read_body
from pagoda.api.errors import bad_request, json_response
from pagoda.api.openapi import documented
from pagoda.api.protocol.common import ErrorResponse
from pagoda.api.protocol.responses import (
    DeletedResponse,
    InputItemList,
    InputTokenCount,
    ResponseObject,
    ResponsesRequest,
)
from pagoda.api.responses import whole_response
from pagoda.api.responses_api.service import ResponsesService, stream_error
from pagoda.api.sse import EventStream
from pagoda.api.state import state_of

router = APIRouter(tags=["responses"])
_Documented = dict[int | str, dict[str, Any]]
_NOT_FOUND: _Documented = {
    401: {"description": "An API key is needed."},
    404: {"model": ErrorResponse, "description": "There is no such response."},
    500: {"model": ErrorResponse, "description": "The store of responses cannot be used."},
    503: {"model": ErrorResponse, "description": "Not now: the server is stopping."},
}
_REFUSED: _Documented = {
    400: {"model": ErrorResponse, "description": "Not possible for this response."},
    **_NOT_FOUND,
}
_CREATE = documented(ResponsesRequest, ResponseObject)
_CREATE["responses"][429] = {"model": ErrorResponse, "description": "Too many responses in the background."}
_MOST_ITEMS = 100


def _service(http: Request) -> ResponsesService:
    service: ResponsesService = http.app.state.responses
    return service


@router.post("/v1/responses", summary="Make a response", **_CREATE)
async def create_response(http: Request) -> Response:
    """Compatible with OpenAI's Responses API and vLLM's further fields."""
    state, service = state_of(http), _service(http)
    state.check_serving()
    request = await read_body(http, ResponsesRequest, state.settings.max_body_bytes)
    prepared = await service.prepare(http.headers, request)
    if request.background:
        try:
            made = await service.begin(prepared)
        except BaseException:
            prepared.close()
            raise
        if request.stream:
            return EventStream(made.follow(), state, error_event=stream_error)
        return json_response(prepared.maker.state.shown())
    if request.stream:
        return EventStream(
            service.stream(prepared),
            state,
            on_close=prepared.close,
            error_event=lambda error: service.failed_stream(prepared, error),
        )
    return await whole_response(http, state, service.whole(prepared), prepared.close)


@router.post(
    "/v1/responses/input_tokens",
    summary="Count the tokens of an input",
    **documented(ResponsesRequest, InputTokenCount),
)
async def count_input_tokens(http: Request) -> Response:
    """The tokens of the prompt that a response would be made from, exactly."""
    state = state_of(http)
    state.check_serving()
    request = await read_body(http, ResponsesRequest, state.settings.max_body_bytes)
    counted = await _service(http).count(request)
    return json_response({"object": "response.input_tokens", "input_tokens": counted})


@router.get(
    "/v1/responses/{response_id}",
    summary="A stored response",
    response_model=None,
    responses={200: {"model": ResponseObject}, **_REFUSED},
)
async def get_response(
    http: Request,
    response_id: str,
    stream: bool = False,
    starting_after: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """How far it is and what it holds. With `stream`, the events of a response that was made with background
    and stream, from the one after `starting_after` on.
    """
    service = _service(http)
    if stream:
        start = 0 if starting_after is None else starting_after + 1
        events = await service.follow(response_id, start)
        return EventStream(events, state_of(http), error_event=stream_error)
    return json_response(await service.get(response_id))


@router.post(
    "/v1/responses/{response_id}/cancel",
    summary="End a response in the background",
    response_model=None,
    responses={200: {"model": ResponseObject}, **_REFUSED},
)
async def cancel_response(http: Request, response_id: str) -> Response:
    """What it holds so far is kept. A response that has ended already stays as it is."""
    return json_response(await _service(http).cancel(response_id))


@router.delete(
    "/v1/responses/{response_id}",
    summary="Delete a stored response",
    response_model=None,
    responses={200: {"model": DeletedResponse}, **_NOT_FOUND},
)
async def delete_response(http: Request, response_id: str) -> Response:
    """Responses that go on from it cannot be gone on from any more."""
    await _service(http).delete(response_id)
    return json_response({"id": response_id, "object": "response", "deleted": True})


@router.get(
    "/v1/responses/{response_id}/input_items",
    summary="The input of a stored response",
    response_model=None,
    responses={200: {"model": InputItemList}, **_REFUSED},
)
async def list_input_items(
    http: Request,
    response_id: str,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_ITEMS)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> Response:
    """The items that the request brought itself, the last one first; not those of earlier responses."""
    items = (await _service(http).stored(response_id)).input
    if order == "desc":
        items = items[::-1]
    if after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            raise bad_request(f"after names no item of this response: '{after:.128}'.", "after")
        items = items[places[0] + 1 :]
    page = items[:limit]
    return json_response(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else "",
            "last_id": page[-1]["id"] if page else "",
            "has_more": len(items) > limit,
        }
    )
