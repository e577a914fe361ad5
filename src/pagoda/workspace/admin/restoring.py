"""Puts a backup in the place of everything while the server runs.

What can be prepared is prepared beside the running workspace. Then requests are answered with 503, answers in
the making are written down, the database is closed, what is there is laid aside, and a new workspace begins
with what the backup holds. If anything fails, the old state is begun again.
"""

from __future__ import annotations

import logging
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI

from pagoda.workspace.accounts.audit import record
from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.admin.staged_backups import StagedBackup
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.storage.database import Database, DatabaseError

if TYPE_CHECKING:
    from pagoda.workspace.app import Workspace

_log = logging.getLogger(__name__)


async def restore(app: FastAPI, old: Workspace, staged: StagedBackup, by: Principal, address: str) -> None:
    """Everybody is signed out afterwards. Raises WorkspaceError; then all is as it was, but for the sign-ins
    that a restart keeps.
    """
    from pagoda.workspace.storage.backup import restore_backup

    url = old.database.url.render_as_string(hide_password=False)
    database = Database.open(url, old.data_dir)  # the workspace's own is closed meanwhile
    stopped = False

    async def still() -> None:
        nonlocal stopped
        old.restoring = stopped = True
        await old.stop()
        if not database.is_sqlite:
            await _save_rows(database, old)

    try:
        aside = await restore_backup(staged.path, database, old.data_dir, replace=True, still=still)
        await _begin(app, old, database, aside)
    except Exception as error:
        if stopped and app.state.workspace is old:
            await _exchange(app, old)
        if not isinstance(error, DatabaseError | OSError):
            raise
        _log.error("a backup could not be restored: %s", error)
        sentence = f"Nothing was changed: {error}."
        raise WorkspaceError(400, sentence, kind="restore_failed", param="file") from error
    finally:
        await database.close()
        staged.path.unlink(missing_ok=True)
    new: Workspace = app.state.workspace
    async with new.database.write() as session:
        detail = {"by": by.email, "created_at": staged.preview.get("created_at")}
        record(session, None, "restore", detail=detail, address=address)
    _log.warning("a backup was restored; what was there before lies in %s", aside)


async def _begin(app: FastAPI, old: Workspace, database: Database, aside: Path | None) -> None:
    """Begins with what was brought back; puts the old files back where that fails. Raises DatabaseError."""
    from pagoda.workspace.storage.exchange import undo_restore

    try:
        await _exchange(app, old)
    except DatabaseError:
        if database.is_sqlite and aside is not None:
            undo_restore(aside, old.data_dir, str(database.url.database))
        raise


async def _exchange(app: FastAPI, old: Workspace) -> None:
    new = old.again()
    try:
        await new.start()
    except BaseException:
        await new.database.close()
        raise
    app.state.workspace = new
    new.replaced(new)


async def _save_rows(database: Database, old: Workspace) -> None:
    """PostgreSQL's rows are replaced where they are: an archive of all is laid aside before."""
    from pagoda.workspace.storage.backup import write_backup

    name = f"before-restore-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}.zip"
    await write_backup(database, old.data_dir, old.data_dir / name, old.version)
