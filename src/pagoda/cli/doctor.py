"""`pagoda doctor`: whether this machine can do it, and what to do where it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

INDEX_SECONDS = 15
MEMORY_NEEDED = 500_000_000
DISK_NEEDED = 300_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `state` is "ok", "note" (it works, with less) or "problem" (it will fail)."""

    state: str
    subject: str
    text: str

    def line(self) -> str:
        return f"{self.state:<8} {self.subject:<14} {self.text}"


def command(
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT", help="The port to look at.")] = 8000,
) -> int:
    """Check this machine: processor, memory, disk, network."""
    problems = 0
    for finding in findings(port):
        problems += finding.state == "problem"
        typer.echo(finding.line())
    typer.echo("Everything needed is there." if not problems else f"Problems to solve: {problems}.")
    return 1 if problems else 0


def findings(port: int, *, network: bool = True) -> Iterator[Finding]:
    """All that is found, one after another; what asks the network takes seconds where there is none."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _processor,
        _memory,
        _data_folder,
        lambda: _port(port),
        _model,
        *([_network] if network else []),
    )
    for check in checks:
        yield from check()


def _python() -> Iterator[Finding]:
    from pagoda import __version__
    from pagoda.cli.settings import web_dir

    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok", "Pagoda", f"{__version__}, Python {version} ({sys.executable})")
    if web_dir() is None:
        yield Finding("note", "Browser chat", "the package was built without it; the API works")


def _processor() -> Iterator[Finding]:
    from pagoda.cli.machine import instruction_sets, processor_name

    sets = instruction_sets()
    yield Finding(
        "ok", "Processor", f"{processor_name()} ({', '.join(sets) or 'no vector instructions known'})"
    )
    try:
        from pagoda import _kernels
    except ImportError as error:
        yield Finding(
            "problem", "Kernels", f"the compiled module is missing ({error}); install the package again"
        )
        return
    cores, threads = os.cpu_count() or 1, _kernels.available_threads()
    yield Finding("ok", "Kernels", f"{_kernels.best_isa()}, {threads} threads")
    if threads < cores:
        yield Finding("note", "Cores", f"{cores}, of which this process may use {threads}")


def _memory() -> Iterator[Finding]:
    from pagoda.cli.machine import read_bandwidth, total_memory
    from pagoda.engine.memory import available_bytes
    from pagoda.hub import format_bytes

    available, total = available_bytes(), total_memory()
    if available is not None and total is not None:
        enough = available >= MEMORY_NEEDED
        advice = "" if enough else f"; the default model needs {format_bytes(MEMORY_NEEDED)}: close programs"
        text = f"{format_bytes(available)} of {format_bytes(total)} may be used{advice}"
        yield Finding("ok" if enough else "problem", "Memory", text)
    speed = read_bandwidth() / 1e9
    yield Finding(
        "ok", "Memory speed", f"{speed:.1f} GB/s read; 1 GB of weights gives at most {speed:.0f} tokens/s"
    )


def _data_folder() -> Iterator[Finding]:
    import tempfile

    from pagoda.hub import HubError, format_bytes, pagoda_home
    from pagoda.hub.home import make_folder

    home = pagoda_home()
    try:
        make_folder(home)
        with tempfile.TemporaryFile(dir=home):
            free = shutil.disk_usage(home).free
    except (HubError, OSError) as error:
        yield Finding(
            "problem", "Data folder", f"{home}: {error}; set PAGODA_HOME to a folder you can write to"
        )
        return
    if free < DISK_NEEDED:
        yield Finding(
            "problem", "Data folder", f"{home} has {format_bytes(free)} free; free some or set PAGODA_HOME"
        )
    else:
        yield Finding("ok", "Data folder", f"{home}, {format_bytes(free)} free")


def _port(port: int) -> Iterator[Finding]:
    from pagoda.cli.errors import UsageError
    from pagoda.cli.ports import bind

    try:
        bind("127.0.0.1", port).close()
    except UsageError as error:
        yield Finding("note", "Port", str(error))
    else:
        yield Finding("ok", "Port", f"{port} is free")


def _model() -> Iterator[Finding]:
    from pagoda.hub import CATALOG, DEFAULT_MODEL, models_dir, pagoda_home
    from pagoda.hub.store import damaged

    folder = models_dir(pagoda_home())
    for entry in CATALOG:
        subject = "Default model" if entry.name == DEFAULT_MODEL else f"Model {entry.name}"
        if not entry.is_present(folder):
            yield Finding("note", subject, f"not here yet; `pagoda pull {entry.name}` fetches it")
        elif damaged(entry, folder):
            yield Finding("problem", subject, f"damaged; `pagoda pull {entry.name}` repairs it")
        else:
            yield Finding("ok", subject, str(entry.path_in(folder)))


def _network() -> Iterator[Finding]:
    from pagoda.hub.endpoint import hub_endpoint, hub_is_offline
    from pagoda.hub.network import probe

    endpoint = hub_endpoint(os.environ)
    if hub_is_offline(os.environ):
        yield Finding("note", "Hugging Face", "not to be used, since HF_HUB_OFFLINE is set")
    else:
        reason = probe(endpoint)
        if reason is None:
            yield Finding("ok", "Hugging Face", f"{endpoint} can be reached")
        else:
            yield Finding(
                "note", "Hugging Face", f"{endpoint}: {reason}; set HF_ENDPOINT to a mirror for more models"
            )
    yield _package_index()


def _package_index() -> Finding:
    from pagoda.hub import CATALOG
    from pagoda.hub.catalog import PackageMember
    from pagoda.hub.errors import SourceError
    from pagoda.hub.package_index import pip_command

    package = next(source.package for source in CATALOG[0].sources if isinstance(source, PackageMember))
    subject = "Package index"
    try:
        command = [
            *pip_command(),
            "index",
            "versions",
            package,
            "--disable-pip-version-check",
            "--retries",
            "1",
        ]
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=INDEX_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding(
            "note", subject, f"no answer within {INDEX_SECONDS} s; set pip's index-url to a mirror"
        )
    except SourceError as error:
        return Finding("note", subject, str(error))
    if ended.returncode != 0:
        errors = [
            line.removeprefix("ERROR: ") for line in ended.stderr.splitlines() if line.startswith("ERROR: ")
        ]
        return Finding("note", subject, f"{errors[-1] if errors else 'not reachable'}; see `pip config list`")
    return Finding("ok", subject, "pip reaches it with your settings")
