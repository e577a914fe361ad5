"""Debian's nginx with the file that docs/reverse-proxy.md gives, and a model that waits in its answer."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.helpers.waiting import until

DOCUMENT = Path(__file__).parents[2] / "docs" / "reverse-proxy.md"
FIRST, REST = "The first words.", " And the rest of them."
_START_SECONDS = 30
_ALL = """\
daemon off; pid nginx.pid; error_log stderr; worker_processes 1;
events {{ }}
http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
uwsgi_temp_path uwsgi; scgi_temp_path scgi;
{servers} }}
"""


@dataclass(frozen=True)
class Proxy:
    """Its two ports."""

    http: int
    https: int


@contextmanager
def nginx(folder: Path, server_port: int) -> Iterator[Proxy]:
    """In front of the server; skips where nginx or openssl is not installed."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None or shutil.which("openssl") is None:
        pytest.skip(
            "no test of a proxy: nginx and openssl are not installed (apt install nginx-light openssl)"
        )
    proxy = Proxy(_free_port(), _free_port())
    found = re.search(r"```nginx\n(.*?)```", DOCUMENT.read_text("utf-8"), re.S)
    assert found is not None
    servers = found[1]
    for documented, here in {
        "listen 80;": f"listen 127.0.0.1:{proxy.http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{proxy.https} ssl;",
        "/etc/ssl/pagoda": str(folder / "pagoda"),
        "127.0.0.1:8000": f"127.0.0.1:{server_port}",
    }.items():
        assert documented in servers
        servers = servers.replace(documented, here)
    _make_certificate(folder)
    (folder / "nginx.conf").write_text(_ALL.format(servers=servers), "utf-8")
    command = [program, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_for(process, proxy.http, folder / "nginx.log")
        yield proxy
    finally:
        process.terminate()
        process.wait(20)


class WaitingModel(ThreadingHTTPServer):
    """An OpenAI-compatible server whose answers stop after FIRST until `gate` is open."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gate = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def waiting_model() -> Iterator[WaitingModel]:
    with WaitingModel() as model:
        thread = threading.Thread(target=model.serve_forever)
        thread.start()
        try:
            yield model
        finally:
            model.gate.set()
            model.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._begin("application/json")
        self.wfile.write(b'{"data": [{"id": "waiting"}]}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._begin("text/event-stream")
        self._say(FIRST)
        gate = self.server.gate  # type: ignore[attr-defined]
        gate.wait(120)
        self._say(REST)
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def _say(self, text: str) -> None:
        chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        self.wfile.write(b"data: %s\n\n" % json.dumps(chunk).encode())


def _make_certificate(folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(folder / "pagoda.key"), "-out", str(folder / "pagoda.pem")],
        check=True, capture_output=True,
    )  # fmt: skip


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    def serves() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    if until(lambda: serves() or process.poll() is not None, _START_SECONDS) and process.poll() is None:
        return
    raise RuntimeError(f"nginx does not serve: {log.read_text('utf-8')}")
