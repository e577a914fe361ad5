"""`pagoda pull`: fetch a model, or check the one that is here."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A catalog name (see `pagoda list`) or a Hugging Face name.")
    ],
) -> None:
    """Fetch a model, or verify and renew the copy that is here."""
    from pagoda.cli.console import progress_reporter
    from pagoda.hub import format_bytes, resolve

    model = resolve(name, progress=progress_reporter(), refresh=True)
    files = (
        [model.path] if model.path.is_file() else [path for path in model.path.iterdir() if path.is_file()]
    )
    size = sum(path.stat().st_size for path in files)
    typer.echo(f"{model.name} is ready: {model.path} ({format_bytes(size)})")
