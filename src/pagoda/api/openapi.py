"""/openapi.json: the schema of requests that are read by hand, and of errors."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pagoda.api.protocol.chat import BatchChatRequest, ChatCompletionRequest
from pagoda.api.protocol.common import ErrorResponse
from pagoda.api.protocol.completions import CompletionRequest
from pagoda.api.protocol.generate import GenerateRequest
from pagoda.api.protocol.messages import CountTokensRequest, MessagesRequest
from pagoda.api.protocol.pooling import (
    ClassifyRequest,
    CohereEmbedRequest,
    EmbeddingRequest,
    PoolingRequest,
    RerankRequest,
    ScoreRequest,
)
from pagoda.api.protocol.responses import ResponsesRequest
from pagoda.api.protocol.tokenize import DetokenizeRequest, TokenizeRequest

_REQUESTS: tuple[type[BaseModel], ...] = (
    ChatCompletionRequest,
    BatchChatRequest,
    CompletionRequest,
    ResponsesRequest,
    MessagesRequest,
    CountTokensRequest,
    EmbeddingRequest,
    PoolingRequest,
    ClassifyRequest,
    CohereEmbedRequest,
    ScoreRequest,
    RerankRequest,
    TokenizeRequest,
    DetokenizeRequest,
    GenerateRequest,
)
_ERRORS = {
    400: "The request cannot be served; the message says why.",
    401: "An API key is needed.",
    404: "The model is not served here.",
    413: "The body is too large.",
    500: "The server failed.",
    503: "Not now: the model is loading, or the server is stopping.",
}


def error_responses() -> dict[int | str, dict[str, Any]]:
    """What any route may answer when it cannot serve a request."""
    return {status: {"description": text, "model": ErrorResponse} for status, text in _ERRORS.items()}


def documented(request: type[BaseModel], response: type[BaseModel]) -> dict[str, Any]:
    """Arguments of a route that reads `request` from the body by itself and answers with `response`."""
    reference = {"$ref": f"#/components/schemas/{request.__name__}"}
    errors = {
        status: {"description": text, "model": ErrorResponse}
        for status, text in _ERRORS.items()
        if status != 401
    }
    return {
        "response_model": None,
        "responses": {
            200: {"model": response, "content": {"text/event-stream": {}}},
            401: {"description": _ERRORS[401]},
            **errors,
        },
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}
        },
    }


def install_openapi(app: FastAPI) -> None:
    """Adds the requests' schemas to what FastAPI finds by itself, and security where keys are needed."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = generate()
        _, definitions = models_json_schema(
            [(model, "validation") for model in _REQUESTS], ref_template="#/components/schemas/{model}"
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(definitions.get("$defs", {}))
        _say_400(document)
        app.openapi_schema = document
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _say_400(document: dict[str, Any]) -> None:
    """Parameters that are wrong are answered with 400, where FastAPI's own description says 422."""
    schema = {"$ref": f"#/components/schemas/{ErrorResponse.__name__}"}
    invalid = {"description": _ERRORS[400], "content": {"application/json": {"schema": schema}}}
    for operations in document["paths"].values():
        for operation in operations.values():
            if operation["responses"].pop("422", None) is not None:
                operation["responses"].setdefault("400", invalid)
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
