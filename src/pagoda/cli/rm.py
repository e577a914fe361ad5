"""`pagoda rm`: delete a model's files."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model as `pagoda list` names it.")],
) -> None:
    """Delete the files of a model that was fetched."""
    from pagoda.hub import HubError, format_bytes
    from pagoda.hub.local import remove_stored, stored_models

    for model in stored_models():
        if name in (model.id, model.reference):
            remove_stored(model)
            typer.echo(f"{model.id} is removed: {format_bytes(model.size)} are free again")
            return
    raise HubError(f"there is no model {name} in the folders that Pagoda keeps; see `pagoda list`")
