"""Whom a client asked for, where a proxy stands between.

uvicorn takes scheme and address from the X-Forwarded headers of proxies that FORWARDED_ALLOW_IPS names
(127.0.0.1 where it is not set; `*` for all). X-Forwarded-Host of the same proxies takes the place of Host.
"""

from __future__ import annotations

from typing import Any

from uvicorn import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_HOST, _FORWARDED = b"host", b"x-forwarded-host"


class ForwardedHost:
    """Goes around uvicorn's own middleware, which hides who the proxy was."""

    def __init__(self, app: ProxyHeadersMiddleware) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and (client[0] if client else None) in self._app.trusted_hosts:
            given = [value for name, value in scope["headers"] if name == _FORWARDED]
            # Of several the last one is the nearest proxy's; the others may be anybody's.
            if given and (host := given[-1].rpartition(b",")[2].strip()):
                others = [(name, value) for name, value in scope["headers"] if name != _HOST]
                scope["headers"] = [(_HOST, host), *others]
        await self._app(scope, receive, send)


def take_forwarded_host(config: Config) -> None:
    """Of a configuration that is loaded."""
    if isinstance(config.loaded_app, ProxyHeadersMiddleware):
        config.loaded_app = ForwardedHost(config.loaded_app)
