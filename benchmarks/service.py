"""`pagoda serve` as a process to measure: started, asked and stopped as a user would."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

MODEL_NAME = "bench"


class ServiceError(RuntimeError):
    """The service did not start or refused a request; the message is one line."""


class Service:
    """The service on a free port, from the moment of its start.

    started is when its process was made, on time.monotonic. arguments: more flags of `pagoda serve`. home:
    its data folder; without one it gets one of its own, where everything has yet to be made.
    """

    def __init__(
        self,
        model: Path,
        threads: int | None = None,
        arguments: Sequence[str] = (),
        *,
        home: str | None = None,
    ) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="pagoda-bench-")
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed on exit
        self.port = free_port()
        command = [*pagoda_command(), "serve", str(model), "--port", str(self.port), "--offline"]
        command += ["--served-model-name", MODEL_NAME]
        if threads:
            command += ["--threads", str(threads)]
        command += arguments
        environment = {**os.environ, "PAGODA_HOME": home or self._home.name}
        self.started = time.monotonic()
        self._process = subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log)

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._home.cleanup()

    def stream(self, prompt: str, max_tokens: int, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The events of one streamed chat answer; waits for the service to come up first."""
        body = {
            "model": MODEL_NAME,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "stream": True,
            **parameters,
        }
        response = self._post("/v1/chat/completions", body)
        for line in iter(response.readline, b""):
            if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
                yield json.loads(line[6:])

    def processes(self) -> dict[int, str]:
        """The service's process and all it started: id -> what it is called here."""
        parents: dict[int, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # ended meanwhile
        found = [self._process.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return {pid: "server" if pid == self.pid else f"child {index}" for index, pid in enumerate(found)}

    @property
    def pid(self) -> int:
        return self._process.pid

    def _post(self, path: str, body: dict[str, Any]) -> http.client.HTTPResponse:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServiceError(f"the service ended: {self._last_line()}")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            try:
                connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                response = connection.getresponse()
            except ConnectionRefusedError:
                time.sleep(0.002)  # its port is not open yet
                continue
            if response.status == 503:  # loading
                time.sleep(0.002)
                continue
            if response.status != 200:
                raise ServiceError(f"{path} gave {response.status}: {response.read(300)!r}")
            return response
        raise ServiceError("the service did not come up in two minutes")

    def _last_line(self) -> str:
        self._log.seek(0)
        return (self._log.read().strip().splitlines() or ["no message"])[-1]


def pagoda_command() -> list[str]:
    """The `pagoda` of this environment."""
    script = Path(sys.executable).with_name("pagoda")
    return [str(script)] if script.exists() else [sys.executable, "-m", "pagoda.cli.main"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
