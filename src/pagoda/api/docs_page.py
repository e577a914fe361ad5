"""/docs: a page of our own that shows /openapi.json, as the usual one loads its script from another host."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter

from pagoda.api.web_app import add_file, static_file

_STATIC = Path(__file__).parent / "static"
_NAMES = {"/docs": "docs.html", "/redoc": "docs.html", "/docs.js": "docs.js", "/docs.css": "docs.css"}


def docs_router() -> APIRouter:
    """The page and its two files."""
    router = APIRouter(include_in_schema=False)
    for path, name in _NAMES.items():
        add_file(router, path, static_file(name, (_STATIC / name).read_bytes()))
    return router
