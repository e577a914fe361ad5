"""The engine process: `python -m pagoda.engine.process FD`, started by its client with one half of a socket
pair.

It reads an EngineConfig, loads the model, says Ready, and then takes commands and tells news until the other
end closes. While it has nothing to do it sleeps in the kernel. It dies with its parent and leaves signals
from the terminal and from service managers to it: the server decides when the work is over.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable

from pagoda.engine.config import EngineConfig
from pagoda.engine.cores import Core, make_core
from pagoda.engine.link import EngineLink, LinkClosedError
from pagoda.engine.loading import Progress
from pagoda.engine.messages import (
    AbortRequest,
    AddRequest,
    Failed,
    LoadProgress,
    Ready,
    ResetPrefixCache,
    Shutdown,
)
from pagoda.engine.sizes import ConfigurationError
from pagoda.weights.checkpoint import CheckpointError

_PR_SET_PDEATHSIG = 1
_PROGRESS_SECONDS = 0.05  #: between two reports of loading
EXIT_USER_ERROR = 2
EXIT_FAILURE = 70

MakeCore = Callable[[EngineConfig, Progress], Core]


def die_with_parent() -> None:
    """Asks the kernel to kill this process when the one that started it ends (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def serve(link: EngineLink, make_core: MakeCore) -> int:
    """Loads and runs an engine for the other end of `link`; returns the exit status of the process."""
    config = link.receive_config()
    try:
        core = make_core(config, _report_progress(link))
    except (ConfigurationError, CheckpointError) as error:
        link.send(Failed(str(error)))
        return EXIT_USER_ERROR
    except MemoryError:
        link.send(Failed("There is not enough memory for the model; use a smaller one, or quantize it."))
        return EXIT_USER_ERROR
    gc.freeze()  # what is there now stays: no step waits while it is searched for garbage
    link.send(Ready(core.info))
    while True:
        for command in link.receive(wait=not core.has_work()):
            match command:
                case AddRequest():
                    core.add_request(command)
                case AbortRequest(request_id=request_id):
                    core.abort(request_id)
                case ResetPrefixCache():
                    core.reset_prefix_cache()
                case Shutdown():
                    return 0
        link.send(core.step())


def main(arguments: list[str], make_core: MakeCore = make_core) -> int:
    """The process's entry: the number of the inherited socket is its only argument."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    die_with_parent()
    connection = socket.socket(fileno=int(arguments[0]))
    os.set_inheritable(connection.fileno(), False)
    link = EngineLink(connection)
    try:
        return serve(link, make_core)
    except LinkClosedError:
        return 0
    except Exception as error:
        traceback.print_exc()
        try:
            link.send(Failed(f"{type(error).__name__}: {' '.join(str(error).split())}", user_error=False))
        except LinkClosedError:
            return EXIT_FAILURE
        return EXIT_FAILURE


def _report_progress(link: EngineLink) -> Progress:
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or now - last >= _PROGRESS_SECONDS:
            last = now
            link.send(LoadProgress(done, total))

    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
