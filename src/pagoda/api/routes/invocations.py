"""/invocations, by which SageMaker asks: the body's shape tells which API is meant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Request, Response
from starlette.types import Message

from pagoda.api.body import parse_json, read_json_bytes
from pagoda.api.errors import bad_request
from pagoda.api.openapi import error_responses
from pagoda.api.routes.chat import create_chat_completion
from pagoda.api.routes.completions import create_completion
from pagoda.api.routes.embeddings import create_embeddings
from pagoda.api.routes.score import rerank, score
from pagoda.api.state import state_of

Route = Callable[[Request], Awaitable[Response]]

router = APIRouter(tags=["server"])

#: fields that only one API has, and the API; the first that fits is asked
_ROUTES: tuple[tuple[tuple[str, ...], Route], ...] = (
    (("messages",), create_chat_completion),
    (("prompt",), create_completion),
    (("input",), create_embeddings),
    (("query", "documents"), rerank),
    (("text_1", "text_2"), score),
    (("queries", "documents"), score),
    (("data_1", "data_2"), score),
)


@router.post("/invocations", summary="Any request of the other APIs", responses=error_responses())
async def invoke(http: Request) -> Response:
    """A chat has `messages`, a completion `prompt`, embeddings `input`, a rerank `query` and `documents`."""
    raw = await read_json_bytes(http, state_of(http).settings.max_body_bytes)
    body = parse_json(raw)
    for fields, route in _ROUTES:
        if isinstance(body, dict) and all(name in body for name in fields):
            return await route(_again(http, raw))
    raise bad_request("The body is none of the requests served here: it has no messages, prompt or input.")


def _again(http: Request, raw: bytes) -> Request:
    """The request with its body still to be read; after the body comes what the connection brings."""
    pending: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive() -> Message:
        return pending.pop() if pending else await http.receive()

    return Request(http.scope, receive)
