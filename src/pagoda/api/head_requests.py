"""HEAD for all that answers to GET, as load balancers probe a service."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send


class HeadMiddleware:
    """A HEAD request that no route takes is a GET whose body the HTTP server leaves out (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            read = {**scope, "method": "GET"}
            if not self._takes(scope) and self._takes(read):
                scope = read
        await self._app(scope, receive, send)

    def _takes(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._routes)
