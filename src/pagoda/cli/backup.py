"""`pagoda backup`: the workspace in one archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pagoda.workspace.storage.database import Database


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive to write, such as pagoda.zip.")],
) -> None:
    """Write all of the workspace into one archive.

    A server may run meanwhile. The archive holds the key that opens saved secrets: keep it as one.
    """
    from pagoda import __version__
    from pagoda.cli.data_folder import with_database
    from pagoda.cli.errors import UsageError
    from pagoda.hub import format_bytes, pagoda_home
    from pagoda.workspace.storage.backup import write_backup
    from pagoda.workspace.storage.database import SQLITE_FILE

    if file.exists():
        raise UsageError(f"{file} is there already; name a new file")
    data_dir = pagoda_home()

    async def write(database: Database) -> dict[str, Any]:
        if database.is_sqlite and not Path(database.url.database or "").exists():
            raise UsageError(f"there is no workspace in {data_dir} ({SQLITE_FILE}); nothing to back up")
        return await write_backup(database, data_dir, file, __version__)

    try:
        manifest = with_database(data_dir, write)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
    rows = manifest["rows"]
    typer.echo(
        f"{file}: {rows['user']} users, {rows['chat']} chats, {rows['message']} messages, "
        f"{manifest['files']} files ({format_bytes(file.stat().st_size)})"
    )
