"""The browser app's files, from memory, with headers that let them load nothing from elsewhere."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response

from pagoda.api.errors import ApiError

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_IMMUTABLE = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain",
}
_NOT_BUILT = Path(__file__).parent / "static" / "not_built.html"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    headers: dict[str, str]


def static_file(name: str, content: bytes, *, immutable: bool = False) -> _File:
    """A file as it is served; `immutable` where its name holds a digest of its content."""
    kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    text = kind.startswith("text/") or kind == "application/json"
    headers = {
        **SECURITY_HEADERS,
        "Content-Type": f"{kind}; charset=utf-8" if text else kind,
        "Cache-Control": _IMMUTABLE if immutable else _REVALIDATE,
        "ETag": f'"{sha256(content).hexdigest()[:32]}"',
    }
    return _File(content, headers)


def answer(file: _File, request: Request) -> Response:
    """The file, or 304 where the browser has it."""
    if request.headers.get("if-none-match") == file.headers["ETag"]:
        kept = ("ETag", "Cache-Control", "Content-Security-Policy")
        return Response(status_code=304, headers={name: file.headers[name] for name in kept})
    return Response(file.content, headers=file.headers)


def web_router(folder: Path | None) -> APIRouter:
    """Serves every file below `folder` under its own path, index.html at /; a page that says so where there
    is none.

    Files are read once, now: a path that was not there is not there, whatever it contains.
    """
    files = _read(folder) if folder is not None else {}
    files.setdefault("index.html", static_file("index.html", _NOT_BUILT.read_bytes()))
    router = APIRouter(include_in_schema=False)

    async def serve(request: Request, path: str = "") -> Response:
        file = files.get(path or "index.html")
        if file is None:
            raise ApiError(404, f"There is nothing at {request.url.path}; see /docs for what there is.")
        return answer(file, request)

    router.add_api_route("/", serve, methods=["GET", "HEAD"])
    router.add_api_route("/{path:path}", serve, methods=["GET", "HEAD"])
    return router


def _read(folder: Path) -> dict[str, _File]:
    files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name = file.relative_to(folder).as_posix()
            files[name] = static_file(name, file.read_bytes(), immutable=name.startswith("assets/"))
    return files
