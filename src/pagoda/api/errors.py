"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`, where code is the HTTP
status.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from pagoda.api.messages_api.errors import is_messages_path, messages_error

_TYPES = {
    400: "BadRequestError",
    404: "NotFoundError",
    500: "InternalServerError",
    501: "NotImplementedError",
    503: "ServiceUnavailableError",
}


class ApiError(HTTPException):
    """An answer that is not a success; `param` names the request's field at fault."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.message = message
        self.param = param
        self.kind = kind or _TYPES.get(status) or HTTPStatus(status).phrase

    def body(self) -> dict[str, Any]:
        return error_body(self.status_code, self.message, self.kind, self.param)


class RequestFailedError(ApiError):
    """The engine accepted the request and could not finish it."""

    def __init__(self, message: str) -> None:
        super().__init__(500, message)


def bad_request(message: str, param: str | None = None) -> ApiError:
    return ApiError(400, message, param=param)


def unavailable(message: str, retry_after: int = 1) -> ApiError:
    """Try again soon: clients that retry on 503 wait as long as the header says, in seconds."""
    return ApiError(503, message, headers={"Retry-After": str(retry_after)})


def error_body(status: int, message: str, kind: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": status}}


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        msgspec.json.encode(content), status, headers=dict(headers or {}), media_type="application/json"
    )


def install_error_handlers(app: FastAPI) -> None:
    """Every error of the app leaves in this shape, unknown paths and failures of ours included; those below
    /v1/messages leave in Anthropic's.
    """

    async def known(request: Request, error: Exception) -> Response:
        if isinstance(error, ApiError):
            return _answer(request, error.status_code, error.message, error.body(), error.headers)
        status = error.status_code if isinstance(error, HTTPException) else 500
        phrase = HTTPStatus(status).phrase
        detail = str(error.detail) if isinstance(error, HTTPException) else phrase
        if detail == "Not Found":
            detail = f"There is nothing at {request.url.path}; see /docs for what there is."
        elif detail == "Method Not Allowed":
            detail = f"{request.url.path} does not answer to {request.method}; see /docs."
        headers = error.headers if isinstance(error, HTTPException) else None
        return _answer(request, status, detail, error_body(status, detail, phrase), headers)

    async def invalid(request: Request, error: Exception) -> Response:
        """A parameter in the path or the query; bodies are read by hand."""
        first = error.errors()[0] if isinstance(error, RequestValidationError) else {"loc": ("",), "msg": ""}
        param = str(first["loc"][-1])
        message = f"{param}: {first['msg']}"
        return _answer(request, 400, message, error_body(400, message, "Bad Request", param))

    async def unknown(request: Request, error: Exception) -> Response:
        message = "The server failed on this request; its log says why."
        return _answer(request, 500, message, error_body(500, message, _TYPES[500]))

    app.add_exception_handler(HTTPException, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unknown)


def _answer(
    request: Request,
    status: int,
    message: str,
    body: dict[str, Any],
    headers: Mapping[str, str] | None = None,
) -> Response:
    if is_messages_path(request.url.path):
        status, body = messages_error(status, message)
    return json_response(body, status, headers)
