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
from pagoda.cli.machine import in_container
from pagoda.cli.pool import build_pool, engine_config, further_model
from pagoda.cli.ports import address_of, bind, bind_unix, is_loopback
from pagoda.cli.settings import web_dir
from pagoda.engine.config import EngineConfig, EngineInfo
from pagoda.hub import DataFolderLock, HubError, LocalModel, format_bytes, pagoda_home, resolve

if TYPE_CHECKING:
    from pagoda.api.part import ServerPart
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
    bytes together; None means not said. workspace: serve accounts and chats that are kept, and their page.
    keeps_data: whether the data folder is this server's.
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
    web: bool = True
    workspace: bool = False
    offline: bool = False
    open_browser: bool = False
    keeps_data: bool = True


def run_service(options: ServiceOptions) -> int:
    """Serves until it is told to stop; returns the exit code. What prevents it is raised with one line.

    A second server on one data folder keeps nothing there; with a workspace it is refused.
    """
    lock = DataFolderLock(pagoda_home())
    try:
        lock.acquire(f"http://{options.host}:{options.port}")
    except HubError as error:
        if options.workspace:
            raise
        say(f"pagoda: {str(error).partition(';')[0]}; this one keeps responses (/v1/responses) in memory")
        options = dataclasses.replace(options, keeps_data=False)
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
    parts = _parts(options, settings, ring)
    name = settings.served_model_names[0]
    loading = LoadingProgress(f"Loading {name}")

    def announce() -> None:
        gc.enable()
        loading.finish()
        lines = "\n".join(ready_lines(llm.info, name, address, options))
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


def _parts(options: ServiceOptions, settings: ServerSettings, log: LogRing | None) -> list[ServerPart]:
    if not options.workspace:
        return []
    from pagoda.cli.workspace import WorkspacePart

    further = functools.partial(further_model, options, settings)
    return [WorkspacePart(pagoda_home(), further, offline=options.offline, log=log)]


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
        web_dir=web_dir() if options.web else None,
        web_page="workspace.html" if options.workspace else "index.html",
    )


def ready_lines(info: EngineInfo, name: str, address: str, options: ServiceOptions) -> list[str]:
    """The one readable block that a running service shows."""
    formats = ", ".join(sorted(info.weight_formats, key=lambda kind: -info.weight_formats[kind]))
    tokens = info.num_blocks * info.block_size
    threads = "1 thread" if info.num_threads == 1 else f"{info.num_threads} threads"
    rows = [
        ("Chat" if options.web and info.runner == "generate" else "Address", address),
        ("API", f"{address}/v1" + (" (with an API key)" if options.server.api_keys else "")),
        ("Model", f"{name} ({info.architecture}, {formats})"),
        ("Context", f"{info.max_model_len:,} tokens"),
        (
            "Memory",
            f"{format_bytes(info.weight_bytes)} weights, {format_bytes(info.cache_bytes)} cache "
            f"({tokens:,} tokens)",
        ),
        ("Engine", f"{threads}, {info.isa}, loaded in {info.load_seconds:.2f} s"),
    ]
    others = [choice.name or choice.model for choice in options.models[1:]]
    others += [module.name for module in options.lora_modules]
    if others:
        rows.append(("Also", f"{', '.join(others)} (loaded when asked for)"))
    rows.append(("Stop", "Ctrl-C"))
    if options.uds is None and not is_loopback(options.host) and not options.server.api_keys:
        rows.append(("Note", "whoever reaches this machine may use it; --api-key KEY asks for a key"))
    elif options.uds is None and is_loopback(options.host) and in_container():
        rows.append(("Note", "only this container reaches it; --host 0.0.0.0 lets others in"))
    rows += [("Note", note) for note in info.notes]
    width = max(len(title) for title, _ in rows)
    return ["", "Pagoda is ready.", *(f"  {title:<{width}}  {value}" for title, value in rows), ""]


def _open_browser(address: str) -> None:
    import webbrowser

    try:
        opened = webbrowser.open(address)
    except webbrowser.Error:
        opened = False
    if not opened:
        say(f"No browser was found; open {address} yourself.")
