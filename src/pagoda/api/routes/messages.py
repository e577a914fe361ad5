"""/v1/messages and /v1/messages/count_tokens."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from pagoda.api.body import read_body
from pagoda.api.errors import ApiError, json_response
from pagoda.api.fitted_chat import count_prompt, prepare_fitted_chat
from pagoda.api.hooked_chat import hooked
from pagoda.api.messages_api.blocks import BlockBuilder
from pagoda.api.messages_api.convert import PARAMS, chat_request
from pagoda.api.messages_api.run import MessageEvents, MessageRun, error_event, streamed
from pagoda.api.other_apis import renamed
from pagoda.api.protocol.messages import (
    CountTokensRequest,
    Message,
    MessagesErrorResponse,
    MessagesRequest,
    TokenCount,
)
from pagoda.api.responses import whole_response
from pagoda.api.sse import EventStream
from pagoda.api.state import ServerState, state_of

router = APIRouter(tags=["messages"])
_ERRORS = {
    400: "The request cannot be served; the message says why.",
    401: "An API key is needed.",
    404: "The model is not served here.",
    413: "The body is too large.",
    500: "The server failed.",
    529: "Not now: the model is loading, or the server is stopping.",
}


def _documented(request: str, response: type[Message] | type[TokenCount]) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{request}"}
    errors = {
        status: {"description": text, "model": MessagesErrorResponse} for status, text in _ERRORS.items()
    }
    return {
        "response_model": None,
        "responses": {200: {"model": response}, **errors},
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}
        },
    }


@router.post("/v1/messages", summary="Answer a conversation", **_documented("MessagesRequest", Message))
async def create_message(http: Request) -> Response:
    """Compatible with Anthropic's Messages API. A name with "claude" in it that is not served means the
    default model, and stands in the answer.
    """
    state = state_of(http)
    state.check_serving()
    request = await read_body(http, MessagesRequest, state.settings.max_body_bytes)
    chat = chat_request(request)
    chat.model = served_name(state, request.model)
    try:
        part = await hooked(state, http.headers, chat)
        run, fitted = await prepare_fitted_chat(state, http.headers, chat if part is None else part.here())
    except ApiError as error:
        raise renamed(error, PARAMS) from error
    if part is not None:
        part.attach(run, whole=not request.stream)
    omitted = request.thinking is not None and request.thinking.display == "omitted"
    shown = run.model if chat.model is not None else request.model or run.model
    message = MessageRun(run, shown, BlockBuilder(omit_thinking=omitted), fitted)
    if request.stream:
        events = MessageEvents(message) if part is None else streamed(message)
        return EventStream(events, state, on_close=message.close, error_event=error_event)
    return await whole_response(http, state, message.whole(), message.close)


@router.post(
    "/v1/messages/count_tokens",
    summary="Count the tokens of a conversation",
    **_documented("CountTokensRequest", TokenCount),
)
async def count_tokens(http: Request) -> Response:
    """The tokens of the prompt that /v1/messages would make, exactly."""
    state = state_of(http)
    state.check_serving()
    request = await read_body(http, CountTokensRequest, state.settings.max_body_bytes)
    chat = chat_request(request)
    chat.model = served_name(state, request.model)
    try:
        return json_response({"input_tokens": await count_prompt(state, chat)})
    except ApiError as error:
        raise renamed(error, PARAMS) from error


@router.head("/v1/messages", include_in_schema=False)
async def probe() -> Response:
    """Clients look whether there is an API at all."""
    return Response()


def served_name(state: ServerState, name: str | None) -> str | None:
    """The name to look a model up by: None, for the default one, where a client asks for one of Anthropic's
    that is not served here by that name.
    """
    if name is None or "claude" not in name.lower():
        return name
    served = {alias for model in state.models.list() for alias in model.names}
    return name if name in served else None
