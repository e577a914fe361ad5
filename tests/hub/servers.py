"""A small file server for downloads: ranges, broken connections, refusals, redirects."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server does; `cuts`: after how many bytes it drops the connection, request by request."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    redirect_to: str | None = None
    status: int | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)


@dataclass(frozen=True)
class Server:
    url: str
    behaviour: Behaviour


@contextmanager
def file_server(behaviour: Behaviour) -> Iterator[Server]:
    """Serves `behaviour.files` by path on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            behaviour.requests.append((self.path, asked))
            behaviour.authorizations.append(self.headers.get("Authorization"))
            if behaviour.redirect_to is not None:
                return self._plain(302, Location=behaviour.redirect_to + self.path)
            if behaviour.status is not None:
                return self._plain(behaviour.status)
            body = behaviour.files.get(self.path)
            if body is None:
                return self._plain(404)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and behaviour.ranges else 0
            if start >= len(body) and start:
                return self._plain(416)
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header(
                "Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream"
            )
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            rest = body[start:]
            if behaviour.cuts:
                self.wfile.write(rest[: behaviour.cuts.pop(0)])
                self.close_connection = True
                return None
            self.wfile.write(rest)
            return None

        def _plain(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{server.server_address[1]}", behaviour)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
