"""Running services as processes, for tests of the command."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.cli.command import PAGODA, environment


class Service:
    """A running `pagoda serve` or `up`; `block` is what it showed when it was ready."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.block: list[str] = []
        assert process.stderr is not None
        for line in process.stderr:
            self.block.append(line.rstrip("\n"))
            if not self.block[-1] and len(self.block) > 1 and self.block[-2].startswith("  "):  # its end
                return
        raise AssertionError(f"it ended with {process.wait()}: {self.block}")

    def value(self, title: str) -> str:
        return next(line.split(maxsplit=1)[1] for line in self.block if line.strip().startswith(title))

    @property
    def notes(self) -> list[str]:
        return [line for line in self.block if line.strip().startswith("Note")]

    @property
    def url(self) -> str:
        return self.value("Address" if self.is_api_alone else "Chat")

    @property
    def is_api_alone(self) -> bool:
        return not any(line.strip().startswith("Chat") for line in self.block)

    def ask(self, key: str | None = None, model: str | None = None) -> dict[str, object]:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(
            self.url + "/v1/chat/completions", json.dumps(body).encode(), headers=headers
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer: dict[str, object] = json.load(response)
        return answer


@contextmanager
def service(
    home: Path, *arguments: str, command: str = "serve", program: Sequence[str] = (), **more: str
) -> Iterator[Service]:
    """Runs `pagoda COMMAND` (or another program) on a free port, ready to be asked.

    more: environment variables.
    """
    process = subprocess.Popen(
        [*(program or [*PAGODA, command]), *arguments, "--port", "0"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home, **more),
    )
    try:
        yield Service(process)
    finally:
        process.terminate()
        process.communicate(timeout=30)
