"""Running a model as a service: what `pagoda serve` and `pagoda up` share.

The order is chosen for a fast start: the data folder, the model and the port are settled first (each may fail
with one line), then the engine process starts loading, and only then the web framework is imported.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pagoda.api.settings import ServerSettings
from pagoda.cli.console import LoadingProgress, progress_reporter, say
from pagoda.cli.pool import build_pool, engine_config, further_model
from pagoda.cli.ports import address_of, bind, bind_unix, is_loopback
from pagoda.cli.ready import ready_lines
from pagoda.engine.config import EngineConfig
from pagoda.hub import DataFolderLock, HubError, LocalModel, pagoda_home, resolve

if TYPE_CHECKING:
    from pagoda.cli.workspace import WorkspacePart
    from pagoda.workspace.admin.log_ring import LogRing


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model to serve: what `resolve` takes, and the name it shall have (None: its own)."""

    model: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class LoraModule:
    """An adapter to serve beside its base model (the default one where `base` is None)."""

    name: str
    path: str
    base: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What a service is asked to be.

    models: the first is the default one. engine, server: settings that are completed for each model: the
    model's path and names are filled in here. max_loaded_models, keep_alive, model_memory: how many models
    are in memory at a time, for how many seconds without a request (negative: for ever), and in how many
    bytes together; None means not said. workspace: serve the page, accounts and chats that are kept; None
    means where the data folder is this server's. safe_mode: load no plugin function; None leaves it to the
    environment. keeps_data: whether the data folder is this server's.
    """

    models: tuple[ModelChoice, ...]
    engine: EngineConfig
    server: ServerSettings = field(default_factory=ServerSettings)
    host: str = "127.0.0.1"
    port: int = 8000
    uds: str | None = None
    revision: str | None = None
    lora_modules: tuple[LoraModule, ...] = ()
    max_loaded_models: int | None = None
    keep_alive: float | None = None
    model_memory: int | None = None
    workspace: bool | None = None
    safe_mode: bool | None = None
    offline: bool = False
    open_browser: bool = False
    keeps_data: bool = True


def run_service(options: ServiceOptions) -> int:
    """Serves until it is told to stop; returns the exit code. What prevents it is raised with one line.

    A second server on one data folder serves the API alone and keeps nothing there; where a workspace was
    asked for, it is refused.
    """
    lock = DataFolderLock(pagoda_home())
    try:
        lock.acquire(f"http://{options.host}:{options.port}")
    except HubError as error:
        if options.workspace:
            raise
        what = "serves the API alone, without the page, and " if options.workspace is None else ""
        say(f"pagoda: {str(error).partition(';')[0]}; this one {what}keeps /v1/responses in memory")
        options = dataclasses.replace(options, workspace=False, keeps_data=False)
    options = dataclasses.replace(options, workspace=options.workspace is not False)
    try:
        found = find_models(options)
        options = with_tokenizer(options)
        listener = bind(options.host, options.port) if options.uds is None else bind_unix(options.uds)
        with listener:
            scheme = "http" if options.server.ssl_certfile is None else "https"
            address = address_of(listener, options.host, scheme)
            if options.keeps_data:
                lock.announce(address)
            try:
                return _serve(options, found, listener, address)
            finally:
                if options.uds is not None:
                    Path(options.uds).unlink(missing_ok=True)
    finally:
        lock.release()


def find_models(options: ServiceOptions) -> list[LocalModel]:
    """The models on this disk, fetched where they are not here. The revision is that of the first."""
    return [
        resolve(
            choice.model,
            progress=progress_reporter(),
            offline=options.offline,
            revision=options.revision if choice is options.models[0] else None,
        )
        for choice in options.models
    ]


def with_tokenizer(options: ServiceOptions) -> ServiceOptions:
    """The options with a tokenizer that was named by something else than a path found on this disk."""
    name = options.engine.tokenizer
    if name is None or Path(name).expanduser().exists():
        return options
    found = resolve(name, progress=progress_reporter(), offline=options.offline)
    engine = msgspec.structs.replace(options.engine, tokenizer=str(found.path))
    return dataclasses.replace(options, engine=engine)


def _serve(
    options: ServiceOptions, found: Sequence[LocalModel], listener: socket.socket, address: str
) -> int:
    from pagoda.cli.logs import configure_logging
    from pagoda.engine.async_llm import AsyncLLM

    ring = _log_ring() if options.workspace else None
    if not configure_logging(os.environ, ring):
        ring = None
    launch = partial(AsyncLLM.launch, told=None if ring is None else ring.engine_line)
    llm = launch(engine_config(options, found[0]))
    # From here on the engine loads in its own process while this one imports the web framework. Imports leave
    # no garbage, so looking for it meanwhile would only cost a tenth of the time to ready.
    gc.disable()
    from pagoda.api.server import run

    settings = server_settings(options, found[0])
    pool = build_pool(options, settings, found, llm, launch)
    workspace = _workspace(options, settings, ring)
    parts = [] if workspace is None else [workspace]
    name = settings.served_model_names[0]
    loading = LoadingProgress(f"Loading {name}")

    def announce() -> None:
        gc.enable()
        loading.finish()
        access = None if workspace is None else workspace.access
        lines = "\n".join(ready_lines(llm.info, name, address, options, access))
        say(lines)
        if ring is not None:
            ring.note(lines.strip())
        if options.open_browser:
            _open_browser(address)

    try:
        return run(pool, settings, listener, on_ready=announce, on_progress=loading.update, parts=parts)
    finally:
        loading.finish()


def _log_ring() -> LogRing:
    from pagoda.workspace.admin.log_ring import LogRing

    return LogRing(silent=("pagoda.engine.request_log",))  # prompts, where the operator wants them logged


def _workspace(
    options: ServiceOptions, settings: ServerSettings, log: LogRing | None
) -> WorkspacePart | None:
    if not options.workspace:
        return None
    from pagoda.cli.workspace import WorkspacePart

    return WorkspacePart(
        pagoda_home(),
        functools.partial(further_model, options, settings),
        offline=options.offline,
        log=log,
        safe_mode=options.safe_mode,
        loopback=options.uds is None and is_loopback(options.host),
    )


def server_settings(options: ServiceOptions, model: LocalModel) -> ServerSettings:
    """The server's settings, with the names and the path of the default model, which also answers to the name
    of NAME=MODEL.
    """
    names = (*options.server.served_model_names, *filter(None, [options.models[0].name]))
    return dataclasses.replace(
        options.server,
        served_model_names=tuple(dict.fromkeys(names)) or (model.name,),
        model_root=str(model.path),
        data_dir=pagoda_home() if options.keeps_data else None,
    )


def _open_browser(address: str) -> None:
    import webbrowser

    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        say(f"No browser was found; open {address} yourself.")
