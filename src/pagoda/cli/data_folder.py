"""What commands need that work on the workspace of the data folder while no server runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pagoda.cli.errors import UsageError
from pagoda.hub import DataFolderLock, HubError, pagoda_home

if TYPE_CHECKING:
    from pagoda.workspace.storage.database import Database

_T = TypeVar("_T")


@contextmanager
def alone(command: str) -> Iterator[Path]:
    """The data folder, which no server has meanwhile. Raises UsageError where one runs,
    DatabaseError where a restore was broken off and cannot be finished.
    """
    from pagoda.workspace.storage.exchange import finish_exchange

    lock = DataFolderLock(pagoda_home())
    try:
        lock.acquire(f"pagoda {command}")
    except HubError as error:
        raise UsageError(f"`pagoda {command}` works while no server runs: {error}") from error
    try:
        finish_exchange(lock.home)
        yield lock.home
    finally:
        lock.release()


def open_database(data_dir: Path) -> Database:
    """That of the environment, or of the data folder. Raises DatabaseError."""
    from pagoda.workspace.settings import WorkspaceSettings
    from pagoda.workspace.storage.database import Database

    return Database.open(WorkspaceSettings.from_environment(os.environ).database_url, data_dir)


def with_database(data_dir: Path, work: Callable[[Database], Awaitable[_T]]) -> _T:
    """What `work` makes of the database, which is open meanwhile. Raises DatabaseError."""

    async def run() -> _T:
        database = open_database(data_dir)
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
