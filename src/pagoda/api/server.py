"""Runs the HTTP server in this process, from the first connection to an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import uvicorn

from pagoda.api.app import create_app
from pagoda.api.body_writer import BodyWriters
from pagoda.api.forwarded_host import take_forwarded_host
from pagoda.api.model_pool import ModelPool
from pagoda.api.part import ServerPart, ServerPartError
from pagoda.api.settings import ServerSettings
from pagoda.api.state import ServerState
from pagoda.api.stats_log import log_throughput
from pagoda.engine.async_llm import EngineStartError

_CIPHERS = "TLSv1"  #: uvicorn's own choice: what OpenSSL allows
_GRACE_SECONDS = 5  #: for connections to take their last bytes
_LOOK_SECONDS = 0.05  #: between two looks whether running requests have ended


def run(
    pool: ModelPool,
    settings: ServerSettings,
    listener: socket.socket,
    on_ready: Callable[[], None],
    on_progress: Callable[[int, int], None] | None = None,
    parts: Sequence[ServerPart] = (),
) -> int:
    """Serves until SIGINT or SIGTERM, then ends streams in order and the engines; returns the exit code.

    listener: a socket that listens already. on_ready: called once, when requests are served. on_progress:
    gets the bytes of weights loaded and all, meanwhile. parts: what is served beside the API. An engine or a
    part that cannot start ends the server with its one line on standard error and exit code 1. A second
    signal ends at once.
    """
    return asyncio.run(_serve(pool, settings, listener, on_ready, on_progress, parts))


def send_at_once(listener: socket.socket) -> None:
    """Connections of the listener send every write at once (TCP_NODELAY, which they inherit).

    Without it a response in two writes waits 40 ms for the client's acknowledgement of the first. asyncio
    sees to it by itself only for sockets that were made with a protocol number.
    """
    if listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def _serve(
    pool: ModelPool,
    settings: ServerSettings,
    listener: socket.socket,
    on_ready: Callable[[], None],
    on_progress: Callable[[int, int], None] | None,
    parts: Sequence[ServerPart],
) -> int:
    send_at_once(listener)
    app = create_app(pool, settings, parts)
    config = uvicorn.Config(
        app if settings.middleware else BodyWriters(app),  # those layers may change bodies: they see all
        access_log=False,  # ours is in middleware.py
        log_config=None,
        log_level=logging.WARNING,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_keyfile=settings.ssl_keyfile,
        ssl_certfile=settings.ssl_certfile,
        ssl_ca_certs=None if settings.ssl_ca_certs is None else str(settings.ssl_ca_certs),
        ssl_cert_reqs=settings.ssl_cert_reqs,
        ssl_ciphers=settings.ssl_ciphers or _CIPHERS,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        sys.stderr.write(f"pagoda: the certificate or its key cannot be used: {error}\n")
        await pool.shutdown()
        return 1
    take_forwarded_host(config)
    ready = asyncio.create_task(pool.start(on_progress))
    try:
        for part in parts:
            await part.start()
    except ServerPartError as error:
        sys.stderr.write(f"pagoda: {error}\n")
        ready.cancel()
        await asyncio.gather(ready, return_exceptions=True)
        await pool.shutdown()
        return 1
    server = _Server(config, app.state.server, parts)
    # Requests that come while the model loads are answered (503), so the server runs from the start.
    reporting = asyncio.create_task(log_throughput(pool, settings.stats_log_seconds))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.wait({ready, serving}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
            return 0
        try:
            ready.result()
        except EngineStartError as error:
            sys.stderr.write(f"pagoda: {error}\n")
            server.should_exit = True
            await serving
            return 1
        # What is there now stays: looking through it for garbage again and again would stop all streams for
        # a tenth of a second each time.
        gc.freeze()
        on_ready()
        await serving
        return 0
    finally:
        for task in (ready, reporting):
            task.cancel()
        await asyncio.gather(ready, reporting, return_exceptions=True)
        for part in parts:
            await part.stop()
        await pool.shutdown()


class _Server(uvicorn.Server):
    """Tells the app and the parts that the end has come before it waits for open connections."""

    def __init__(self, config: uvicorn.Config, state: ServerState, parts: Sequence[ServerPart]) -> None:
        super().__init__(config)
        self._state = state
        self._parts = parts

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Takes signals for the server alone: unlike the base class it does not raise them again
        afterwards.
        """
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._state.closed = True
        last = time.monotonic() + self._state.settings.shutdown_timeout
        while self._state.load and time.monotonic() < last and not self.force_exit:
            await asyncio.sleep(_LOOK_SECONDS)
        self._state.drain()
        for part in self._parts:
            await part.drain()
        await super().shutdown(sockets)


def _main() -> None:
    """`python -m pagoda.api.server --model MODEL`, as older guides have it: the same as `pagoda serve`."""
    from pagoda.cli.main import run as run_command  # the one place where this room calls the one above it

    sys.exit(run_command(["serve", *sys.argv[1:]]))


if __name__ == "__main__":
    _main()
