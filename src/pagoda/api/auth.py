"""API keys: `Authorization: Bearer KEY`, or Anthropic's `x-api-key: KEY`."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from pagoda.api.errors import json_response
from pagoda.api.messages_api.errors import is_messages_path, messages_error

KeyBook = Callable[[str], Awaitable[bool]]

_GUARDED = ("/v1", "/v2", "/inference")


class ApiKeyMiddleware:
    """Refuses requests to the guarded paths that bring none of the keys; preflight requests carry none and
    pass.

    Keys are compared by digest in constant time, so that timing tells nothing about them. key_books: who
    else is asked whether a key is good.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        api_keys: Sequence[str],
        root_path: str = "",
        key_books: Sequence[KeyBook] = (),
    ) -> None:
        self._app = app
        self._key_books = key_books
        self._digests = [_digest(key) for key in api_keys]
        self._root_path = "/" + root_path.strip("/") if root_path.strip("/") else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or not self._is_guarded(scope)
            or await self._is_allowed(Headers(scope=scope))
        ):
            await self._app(scope, receive, send)
            return
        status: int = 401
        body: dict[str, Any] = {"error": "Unauthorized"}  # a text there, as vLLM's clients know it
        if is_messages_path(scope["path"]):
            status, body = messages_error(status, "An API key is needed, as x-api-key or as a bearer token.")
        response = json_response(body, status, {"WWW-Authenticate": "Bearer"})
        await response(scope, receive, send)

    def _is_guarded(self, scope: Scope) -> bool:
        path: str = scope["path"]
        inner = path.removeprefix(self._root_path)  # a proxy may or may not strip the prefix
        return scope["method"] != "OPTIONS" and (path.startswith(_GUARDED) or inner.startswith(_GUARDED))

    async def _is_allowed(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        offered = [token.strip()] if scheme.lower() == "bearer" else []
        offered += headers.getlist("x-api-key")
        allowed = False
        for digest in map(_digest, offered):
            for known in self._digests:
                allowed |= hmac.compare_digest(digest, known)
        if allowed:
            return True
        for key in offered:
            for knows in self._key_books:
                if await knows(key):
                    return True
        return False


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()
