"""Paths as clients write them whose base URL lacks /v1, or has it twice."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

_SHORT = ("/chat/completions", "/completions", "/embeddings", "/messages", "/models", "/responses")


class ShortPathMiddleware:
    """/chat/completions and its kin are those below /v1, and so are those below /v1/v1. It stands before
    whatever looks at paths, so that keys are asked for all the same.
    """

    def __init__(self, app: ASGIApp, *, root_path: str = "") -> None:
        self._app = app
        self._root_path = "/" + root_path.strip("/") if root_path.strip("/") else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            inner: str = scope["path"].removeprefix(self._root_path)
            if inner.startswith("/v1/v1/"):
                scope = {**scope, "path": inner.removeprefix("/v1")}
            elif inner.startswith(_SHORT) and _is_one(inner):
                scope = {**scope, "path": f"/v1{inner}"}
        await self._app(scope, receive, send)


def _is_one(path: str) -> bool:
    return any(path == short or path.startswith(f"{short}/") for short in _SHORT)
