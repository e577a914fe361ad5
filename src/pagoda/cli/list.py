"""`pagoda list`: what can be served."""

from __future__ import annotations

import os
from pathlib import Path

import typer


def command() -> None:
    """List the models on this disk and in the catalog."""
    from pagoda.hub import CATALOG, format_bytes, models_dir, pagoda_home
    from pagoda.hub.hub_cache import cached_models

    folder = models_dir(pagoda_home())
    rows: list[tuple[str, str, str]] = []
    for entry in CATALOG:
        place = (
            str(entry.path_in(folder))
            if entry.is_present(folder)
            else f"not here yet: pagoda pull {entry.name}"
        )
        rows.append((entry.name, format_bytes(entry.size), place))
    known = {entry.file for entry in CATALOG}
    for path in sorted(folder.glob("*.gguf")):
        if path.name not in known:
            rows.append((str(path), format_bytes(path.stat().st_size), str(path)))
    rows += [(name, format_bytes(_size(path)), str(path)) for name, path in cached_models(os.environ)]
    header = ("NAME", "SIZE", "WHERE")
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(2)]
    for name, size, place in [header, *rows]:
        typer.echo(f"{name:<{widths[0]}}  {size:>{widths[1]}}  {place}")


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
