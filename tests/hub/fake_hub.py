"""A Hugging Face of our own: as much of its API as fetching a model takes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """Repositories by name, each with its files; `gated` ones are refused. Every request is remembered.

    lfs: tells the checksums of files. holds: file -> after how many bytes it waits for the event.
    """

    repos: dict[str, dict[str, bytes]]
    gated: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()  #: those that exist; none means all
    lfs: bool = False
    wrong: dict[str, bytes] = field(default_factory=dict)  #: what comes instead of a file
    holds: dict[str, tuple[int, threading.Event]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)  #: parts of files that were asked for
    url: str = ""

    def downloaded(self) -> list[str]:
        return sorted(
            path.rsplit("/", 1)[1]
            for method, path in self.requests
            if method == "GET" and "/resolve/" in path
        )


def _answer(hub: FakeHub, path: str) -> tuple[int, dict[str, str], bytes]:
    words = path.strip("/").split("/")
    is_api = words[:2] == ["api", "models"]
    repo = "/".join(words[2:4] if is_api else words[:2])
    if repo in hub.gated:
        return 403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted."}, b""
    files = hub.repos.get(repo)
    if files is None:
        return 401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b""
    if is_api:
        if hub.revisions and "revision" in words and words[words.index("revision") + 1] not in hub.revisions:
            return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"}, b""
        if "tree" in words:
            tree = [
                {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                for name, body in files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(tree).encode()
        siblings = [
            {"rfilename": name, "size": len(body), **({"lfs": _pointer(body)} if hub.lfs else {})}
            for name, body in files.items()
        ]
        info = {
            "id": repo,
            "modelId": repo,
            "sha": COMMIT,
            "siblings": siblings,
            "tags": [],
            "private": False,
        }
        return 200, {"Content-Type": "application/json"}, json.dumps(info).encode()
    body = files.get("/".join(words[4:]))
    if words[2] != "resolve" or body is None:
        return 404, {"X-Error-Code": "EntryNotFound"}, b""
    headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(body).hexdigest()}"'}
    if hub.lfs:
        headers |= {"X-Linked-Etag": f'"{_pointer(body)["sha256"]}"', "X-Linked-Size": str(len(body))}
    return 200, headers, body


def _pointer(body: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body), "pointerSize": 134}


@contextmanager
def fake_hub(hub: FakeHub) -> Iterator[FakeHub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _respond(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append((self.command, path))
            status, headers, body = _answer(hub, path)
            asked = self.headers.get("Range", "")
            start = int(asked.removeprefix("bytes=").rstrip("-") or 0) if status == 200 else 0
            if start:
                hub.ranges.append(asked)
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.send_response(206 if start else status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            if self.command == "GET":
                self._send(path, hub.wrong.get(path.rsplit("/", 1)[1], body), start)

        def _send(self, path: str, body: bytes, start: int) -> None:
            after, event = hub.holds.get(path.rsplit("/", 1)[1], (len(body), None))
            with contextlib.suppress(ConnectionError):  # whoever asked may go
                self.wfile.write(body[start:after])
                if event is not None:
                    event.wait(60)
                self.wfile.write(body[max(start, after) :])

        do_GET = do_HEAD = _respond  # noqa: N815 - named so by the base class

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
