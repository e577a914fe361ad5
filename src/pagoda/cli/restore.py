"""`pagoda restore`: brings back what `pagoda backup` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pagoda.workspace.storage.database import Database


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An archive of `pagoda backup`.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in place of a workspace that is there.")
    ] = False,
) -> None:
    """Bring a backup of the workspace back, while no server runs.

    A workspace that it replaces is laid aside in a folder beside it; a PostgreSQL database's rows are not.
    Everybody signs in again.
    """
    from pagoda.cli.data_folder import alone, with_database
    from pagoda.workspace.storage.backup import read_manifest, restore_backup

    with alone("restore") as data_dir:

        async def bring_back(database: Database) -> Path | None:
            return await restore_backup(file, database, data_dir, replace=replace)

        manifest = read_manifest(file)
        aside = with_database(data_dir, bring_back)
    rows = manifest["rows"]
    typer.echo(f"{rows['user']} users, {rows['chat']} chats and {manifest['files']} files are back.")
    if aside is not None:
        typer.echo(f"What was there before lies in {aside}.")
