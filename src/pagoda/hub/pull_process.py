"""A process that fetches one model and tells how far it is, for a server that must not wait for it.

    python -m pagoda.hub.pull_process NAME [REVISION]

It writes one JSON object a line: {"message"}, {"step", "total"} when something begins, {"done", "total"} as
it goes on, and at the end {"ready", "path", "source"} or {"error", "code", "values"}. It ends, with all
that it has started, when its input does: so a server that dies leaves nothing behind. What has come so far
stays for next time.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from typing import IO

from pagoda.hub.errors import HubError

EVERY_SECONDS = 0.1


class LineReporter:
    """A `ProgressReporter` that writes lines."""

    def __init__(self, output: IO[str]) -> None:
        self._output = output
        self._total: int | None = None
        self._told = 0.0
        self._done = 0

    def message(self, text: str) -> None:
        self.tell(message=text)

    def start(self, description: str, total: int | None) -> None:
        self._total, self._told, self._done = total, 0.0, 0
        self.tell(step=description, total=total)

    def update(self, done: int, total: int | None = None) -> None:
        self._total = total or self._total
        self._done = done
        if time.monotonic() - self._told >= EVERY_SECONDS:
            self._tell_done()

    def finish(self) -> None:
        self._tell_done()

    def tell(self, **values: object) -> None:
        self._output.write(json.dumps(values) + "\n")
        self._output.flush()

    def _tell_done(self) -> None:
        self._told = time.monotonic()
        self.tell(done=self._done, total=self._total)


def main(arguments: list[str]) -> int:
    threading.Thread(target=_end_with_input, daemon=True).start()
    reporter = LineReporter(sys.stdout)
    from pagoda.hub.resolve import resolve

    try:
        found = resolve(
            arguments[0],
            progress=reporter,
            refresh=True,
            revision=arguments[1] if len(arguments) > 1 else None,
        )
    except HubError as error:
        reporter.tell(error=str(error), code=error.code, values=error.values)
        return 1
    reporter.tell(ready=found.name, path=str(found.path), source=found.source)
    return 0


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
