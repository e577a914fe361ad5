"""What functions print goes to the server's log, under their names, and only so much of it."""

from __future__ import annotations

import io
import threading
import time

from pagoda.workspace.functions.messages import Printed
from pagoda.workspace.functions.plugin_process.peer import CALL, Peer

_LINES, _SECONDS, _LONGEST = 50, 10.0, 2000  #: so many lines in so many seconds, of so many characters


class Prints(io.TextIOBase):
    """Takes the place of standard output and standard error."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._lock = threading.Lock()
        self._lines: dict[str, str] = {}  # what was begun, by function
        self._sent, self._dropped, self._since = 0, 0, time.monotonic()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        call = CALL.get()
        name = "" if call is None else call[0]
        with self._lock:
            begun = self._lines.pop(name, "") + text
            *lines, rest = begun.split("\n")
            if rest:
                self._lines[name] = rest[:_LONGEST]
            now = time.monotonic()
            if now - self._since > _SECONDS:
                self._sent, self._since = 0, now
            kept = [line[:_LONGEST] for line in lines[: max(0, _LINES - self._sent)] if line.strip()]
            self._sent += len(lines)
            self._dropped += max(0, len(lines) - len(kept) - sum(not line.strip() for line in lines))
            dropped = 0
            if kept:
                dropped, self._dropped = self._dropped, 0
        if kept:
            self._peer.send(Printed(name, "\n".join(kept), dropped))
        return len(text)
