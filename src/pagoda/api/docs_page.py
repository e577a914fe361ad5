"""/docs: a page of our own that shows /openapi.json, as the usual one loads its script from another host."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response

from pagoda.api.web_app import answer, static_file

_STATIC = Path(__file__).parent / "static"


def docs_router() -> APIRouter:
    """The page and its two files."""
    router = APIRouter(include_in_schema=False)
    names = {"/docs": "docs.html", "/docs.js": "docs.js", "/docs.css": "docs.css"}
    files = {path: static_file(name, (_STATIC / name).read_bytes()) for path, name in names.items()}

    def route(path: str) -> None:
        async def serve(request: Request) -> Response:
            return answer(files[path], request)

        router.add_api_route(path, serve, methods=["GET", "HEAD"])

    for path in names:
        route(path)
    return router
