"""What surrounds every request: the count of those in flight, times for /metrics, access log, request ids.

Plain ASGI, and nothing but a look at the message's type on the way of a stream's chunks.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pagoda.api.settings import ServerSettings
from pagoda.api.state import ServerState

_access_log = logging.getLogger("pagoda.access")

_COUNTED = (
    "/v1/",
    "/v2/",
    "/inference/",
    "/score",
    "/rerank",
    "/pooling",
    "/classify",
    "/generative_scoring",
)


class ObserveMiddleware:
    """Notes what comes and goes. It stands outside of everything but the proxy's path."""

    def __init__(self, app: ASGIApp, *, state: ServerState) -> None:
        settings: ServerSettings = state.settings
        self._app = app
        self._state = state
        self._ids = settings.request_id_headers
        self._log = settings.access_log
        self._quiet = frozenset(settings.quiet_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state, path = self._state, scope["path"]
        counted = scope["method"] == "POST" and path.startswith(_COUNTED)
        started = time.perf_counter()
        status = 500

        def watched(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                nonlocal status
                status = message["status"]
                self._begin(scope, message)
            return send(message)

        state.load += counted
        try:
            await self._app(scope, receive, watched)
        finally:
            state.load -= counted
            handler = getattr(scope.get("route"), "path", "none")
            state.metrics.http.observe(handler, scope["method"], status, time.perf_counter() - started)

    def _begin(self, scope: Scope, message: Message) -> None:
        if self._ids:
            given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
            identity = given or secrets.token_hex(16).encode()
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", identity)]
        if self._log and scope["path"] not in self._quiet:
            client = scope.get("client")
            _access_log.info(
                '%s - "%s %s HTTP/%s" %d',
                f"{client[0]}:{client[1]}" if client else "-",
                scope["method"],
                _shown_path(scope),
                scope["http_version"],
                message["status"],
            )


def _shown_path(scope: Scope) -> str:
    """The path as it was asked for, in one line of printable characters."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return (raw + (b"?" + query if query else b"")).decode("latin-1").encode("unicode_escape").decode()
