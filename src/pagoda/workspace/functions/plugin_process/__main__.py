"""`python -m pagoda.workspace.functions.plugin_process FD`: started by the server with one half of a socket
pair; ends when the other half closes.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pagoda.workspace.functions import plugin_process
from pagoda.workspace.functions.messages import Call, Cancel, More, Ping, Pong, Ready, ServerMessage, Setup
from pagoda.workspace.functions.plugin_process.calls import Calls
from pagoda.workspace.functions.plugin_process.peer import Installed, Peer
from pagoda.workspace.functions.plugin_process.prints import Prints

_PR_SET_PDEATHSIG = 1
_FILES = 512
_FILE_SIZE = 1 << 30
_DENIED = ("os.fork", "os.forkpty", "os.exec")


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    connection = socket.socket(fileno=int(arguments[0]))
    os.set_inheritable(connection.fileno(), False)
    peer = Peer(connection)
    messages = peer.messages()
    setup = next(messages, None)
    if not isinstance(setup, Setup):
        return 0
    prepare(setup, peer)
    Installed.peer = peer
    calls = Calls(peer, Path(setup.folder))
    peer.send(Ready())
    serve(messages, peer, calls)
    # Threads of functions may still be at work; nobody waits for them.
    os._exit(0)


def serve(messages: Iterator[ServerMessage], peer: Peer, calls: Calls) -> None:
    """Takes messages until the server is gone."""
    for message in messages:
        match message:
            case Ping():
                peer.send(Pong())
            case Call():
                calls.begin(message)
            case Cancel(id=number, reason=reason):
                calls.cancel(number, reason)
            case More(id=number, count=count):
                calls.more(number, count)


def prepare(setup: Setup, peer: Peer) -> None:
    """Limits, folder, modules that functions find, and where prints go."""
    limits = setup.limits
    _limit(resource.RLIMIT_DATA, limits.memory)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    _limit(resource.RLIMIT_FSIZE, _FILE_SIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that is too large is an OSError
    os.chdir(setup.folder)
    home = Path(plugin_process.__file__).parent.parent
    sys.path.insert(0, str(home / "shim"))
    sys.path += [setup.packages, str(home / "stand_ins")]
    os.environ["OPEN_WEBUI_VERSION"] = setup.version
    parent = os.getppid()

    def audit(event: str, given: tuple[Any, ...]) -> None:
        if event in _DENIED:
            raise PermissionError("functions may not fork or replace their process; start a subprocess")
        if event in ("os.kill", "os.killpg") and given[0] in (parent, 0, 1, -1):
            raise PermissionError("functions may not end other processes")

    sys.addaudithook(audit)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (1, 2):
        os.dup2(nothing, number)
    sys.stdout = sys.stderr = Prints(peer)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
