"""The browser app's files, from memory, with headers that let them load nothing from elsewhere."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response

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
#: Of the frame that draws diagrams. What draws them writes styles of its own, which the page forbids; so it
#: has a document without an origin and without cookies, that reaches the scripts and fonts beside it alone.
_DIAGRAM_HEADERS = {
    **SECURITY_HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'; sandbox allow-scripts"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
#: Of the page in whose frames a plugin's HTML and scripts run: as nobody's origin, and with no way to connect
#: to anything.
_PLUGIN_HEADERS = {
    **SECURITY_HEADERS,
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; media-src data: blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox allow-scripts allow-forms allow-popups allow-downloads"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}
_FRAMES = {"diagram.html": _DIAGRAM_HEADERS, "frame.html": _PLUGIN_HEADERS}
_IMMUTABLE = "public, max-age=31536000, immutable"
_REVALIDATE = "no-cache"
_KEPT_BY_304 = ("ETag", "Cache-Control", "Content-Security-Policy")
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
class StaticFile:
    """Content with the headers it is served with."""

    content: bytes
    headers: dict[str, str]


def static_file(name: str, content: bytes, *, immutable: bool = False) -> StaticFile:
    """A file as it is served; `immutable` where its name holds a digest of its content."""
    kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    text = kind.startswith("text/") or kind == "application/json"
    headers = {
        **_FRAMES.get(name, SECURITY_HEADERS),
        "Content-Type": f"{kind}; charset=utf-8" if text else kind,
        "Cache-Control": _IMMUTABLE if immutable else _REVALIDATE,
        "ETag": f'"{sha256(content).hexdigest()[:32]}"',
    }
    if immutable:  # a frame without an origin asks for its scripts as another site would; they are no secret
        headers["Access-Control-Allow-Origin"] = "*"
    return StaticFile(content, headers)


def web_router(folder: Path | None) -> APIRouter:
    """Serves every file below `folder` under its own path, and index.html at / too; None (it was not built)
    serves a page that says so.

    Files are read once, now: a path that was not there is not there, whatever it contains.
    """
    files = _read(folder) if folder is not None else {}
    page = files.setdefault("index.html", static_file("index.html", _NOT_BUILT.read_bytes()))
    router = APIRouter(include_in_schema=False)
    add_file(router, "/", page)
    for name, file in files.items():
        add_file(router, f"/{name}", file)
    return router


def add_file(router: APIRouter, path: str, file: StaticFile) -> None:
    """A route that answers with the file, or 304 where the browser has it."""

    async def serve(request: Request) -> Response:
        if request.headers.get("if-none-match") == file.headers["ETag"]:
            return Response(status_code=304, headers={name: file.headers[name] for name in _KEPT_BY_304})
        return Response(file.content, headers=file.headers)

    router.add_api_route(path, serve, methods=["GET", "HEAD"])


def _read(folder: Path) -> dict[str, StaticFile]:
    files = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name = file.relative_to(folder).as_posix()
            files[name] = static_file(name, file.read_bytes(), immutable=name.startswith("assets/"))
    return files
