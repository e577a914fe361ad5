"""Real servers for tests: `pagoda serve` in its own process, on a free port, with its own data folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_ADDRESS = re.compile(r"https?://127\.0\.0\.1:\d+|unix:/\S+")
_START_SECONDS = 120
_STOP_SECONDS = 20


@dataclass
class Server:
    """A server that serves; `stop` ends it in order and gives its exit code."""

    base_url: str  #: without /v1
    model: str  #: the name it serves
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def engine_pid(self) -> int:
        """The process that runs the model: the server's only child."""
        [child] = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(child)

    def output(self) -> str:
        """What the server has printed so far."""
        return self.log.read_text("utf-8")


def start_server(
    model: Path, folder: Path, *arguments: str, name: str = "test-model", workspace: bool = False
) -> Server:
    """Starts `pagoda serve` and waits until it says that it serves; its files go to `folder`.

    workspace: whether with the page and accounts, as users have it; most tests need the API alone. Raises
    RuntimeError with what it printed when it ends instead.
    """
    log = folder / "server.log"
    command = [sys.executable, "-m", "pagoda.cli.main", "serve", str(model), "--port", "0"]
    command += ["--workspace" if workspace else "--no-workspace", "--served-model-name", name, *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PAGODA_HOME": str(folder / "home"), "NO_COLOR": "1"},
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if found := _ADDRESS.search(log.read_text("utf-8")):
            return Server(found[0], name, process, log)
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}: {log.read_text('utf-8')}")
        time.sleep(0.02)  # it has no other way to tell
    process.kill()
    raise RuntimeError(f"the server was not ready in {_START_SECONDS} s: {log.read_text('utf-8')}")
