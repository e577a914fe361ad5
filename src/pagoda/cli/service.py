"""Running a model as a service: what `pagoda serve` and `pagoda up` share.

The order is chosen for a fast start: the data folder, the model and the port are settled first (each may fail
with one line), then the engine process starts loading, and only then the web framework is imported.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pagoda.cli.console import LoadingProgress, progress_reporter, say
from pagoda.cli.ports import address_of, bind, is_loopback
from pagoda.cli.settings import web_dir
from pagoda.hub import DataFolderLock, LocalModel, format_bytes, pagoda_home, resolve

if TYPE_CHECKING:
    from pagoda.engine.config import EngineConfig, EngineInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What a service is asked to be; None means chosen by the engine."""

    model: str
    host: str
    port: int
    api_keys: tuple[str, ...] = ()
    served_model_names: tuple[str, ...] = ()
    root_path: str = ""
    default_sampling: str = "auto"
    web: bool = True
    offline: bool = False
    open_browser: bool = False
    max_model_len: int | None = None
    quantization: str | None = None
    kv_cache_memory_bytes: int | None = None
    max_num_seqs: int = 256
    max_num_batched_tokens: int | None = None
    enable_prefix_caching: bool = True
    num_threads: int | None = None
    isa: str | None = None
    executor: str = "cpu"
    seed: int = 0


def run_service(options: ServiceOptions) -> int:
    """Serves until it is told to stop; returns the exit code. What prevents it is raised with one line."""
    lock = DataFolderLock(pagoda_home())
    lock.acquire(f"http://{options.host}:{options.port}")
    try:
        model = resolve(options.model, progress=progress_reporter(), offline=options.offline)
        listener = bind(options.host, options.port)
        with listener:
            address = address_of(listener, options.host)
            lock.announce(address)
            return _serve(options, model, listener, address)
    finally:
        lock.release()


def _serve(options: ServiceOptions, model: LocalModel, listener: socket.socket, address: str) -> int:
    from pagoda.engine.async_llm import AsyncLLM

    llm = AsyncLLM.launch(_engine_config(options, model))
    # From here on the engine loads in its own process while this one imports the web framework.
    from pagoda.api.server import run
    from pagoda.api.settings import ServerSettings

    names = options.served_model_names or (model.name,)
    settings = ServerSettings(
        served_model_names=names,
        api_keys=options.api_keys,
        model_root=str(model.path),
        root_path=options.root_path,
        default_sampling=options.default_sampling,
        web_dir=web_dir() if options.web else None,
    )
    loading = LoadingProgress(f"Loading {names[0]}")

    def announce() -> None:
        loading.finish()
        say("\n".join(ready_lines(llm.info, names[0], address, options)))
        if options.open_browser:
            _open_browser(address)

    try:
        return run(llm, settings, listener, on_ready=announce, on_progress=loading.update)
    finally:
        loading.finish()


def _engine_config(options: ServiceOptions, model: LocalModel) -> EngineConfig:
    from pagoda.engine.config import EngineConfig

    return EngineConfig(
        model_path=str(model.path),
        max_model_len=options.max_model_len,
        quantization=options.quantization,
        kv_cache_memory_bytes=options.kv_cache_memory_bytes,
        max_num_seqs=options.max_num_seqs,
        max_num_batched_tokens=options.max_num_batched_tokens,
        enable_prefix_caching=options.enable_prefix_caching,
        num_threads=options.num_threads,
        isa=options.isa,
        executor=options.executor,
        generation_config=dict(model.generation_config),
        seed=options.seed,
    )


def ready_lines(info: EngineInfo, name: str, address: str, options: ServiceOptions) -> list[str]:
    """The one readable block that a running service shows."""
    formats = ", ".join(sorted(info.weight_formats, key=lambda kind: -info.weight_formats[kind]))
    tokens = info.num_blocks * info.block_size
    threads = "1 thread" if info.num_threads == 1 else f"{info.num_threads} threads"
    rows = [
        ("Chat" if options.web else "Address", address),
        ("API", f"{address}/v1" + (" (with an API key)" if options.api_keys else "")),
        ("Model", f"{name} ({info.architecture}, {formats})"),
        ("Context", f"{info.max_model_len:,} tokens"),
        (
            "Memory",
            f"{format_bytes(info.weight_bytes)} weights, {format_bytes(info.cache_bytes)} cache "
            f"({tokens:,} tokens)",
        ),
        ("Engine", f"{threads}, {info.isa}, loaded in {info.load_seconds:.2f} s"),
        ("Stop", "Ctrl-C"),
    ]
    if not is_loopback(options.host) and not options.api_keys:
        rows.append(("Note", "whoever reaches this machine may use it; --api-key KEY asks for a key"))
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
