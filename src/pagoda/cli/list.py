"""`pagoda list`: what can be served."""

from __future__ import annotations

import typer


def command() -> None:
    """List the models on this disk and in the catalog."""
    from pagoda.hub import CATALOG, format_bytes
    from pagoda.hub.local import stored_models

    stored = stored_models()
    here = {model.id: model for model in stored if model.source == "catalog"}
    rows: list[tuple[str, str, str]] = []
    for entry in CATALOG:
        found = here.get(entry.name)
        place = f"not here yet: pagoda pull {entry.name}" if found is None else str(found.path)
        rows.append((entry.name, format_bytes(entry.size), place))
    for model in stored:
        if model.source != "catalog":
            name = model.reference if model.source == "folder" else model.id
            rows.append((name, format_bytes(model.size), str(model.path)))
    header = ("NAME", "SIZE", "WHERE")
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(2)]
    for name, size, place in [header, *rows]:
        typer.echo(f"{name:<{widths[0]}}  {size:>{widths[1]}}  {place}")
