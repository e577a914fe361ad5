"""Brings the database to the tables of this version, and refuses one that it does not know.

An empty database gets the tables at once and the mark of the newest revision; an older one is upgraded by
Alembic, which is imported then alone, after a copy of a SQLite file was laid aside.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from pathlib import Path

from sqlalchemy import Column, MetaData, String, Table, insert, inspect, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from pagoda.workspace.storage.database import Database, DatabaseError
from pagoda.workspace.storage.tables import Base

MIGRATIONS = Path(__file__).with_name("migrations")
_REVISION = re.compile(r"(\d{4})_\w+\.py")
_LOCK = 0x7061676F6461  # of PostgreSQL's advisory locks: two servers do not upgrade at once
#: as Alembic makes it
VERSION_TABLE = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def revisions() -> list[str]:
    """All that this version knows, oldest first. Files are numbered, so that nobody has to load them."""
    found = (_REVISION.fullmatch(path.name) for path in (MIGRATIONS / "versions").iterdir())
    return sorted(match[1] for match in found if match)


async def prepare(database: Database) -> None:
    """Makes or upgrades the tables. Raises DatabaseError for an unknown or unreachable database."""
    try:
        database.make_file()
        if await _make_or_check(database):
            return
        await _upgrade(database)
    except (DBAPIError, OSError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatabaseError(f"the workspace's database cannot be used: {reason}") from error


async def _make_or_check(database: Database) -> bool:
    """Whether the tables are those of this version now."""
    head = revisions()[-1]
    async with database.writer.begin() as connection:
        await _lock(database, connection)
        found = await connection.run_sync(_current)
        if found is None:
            await connection.run_sync(_make, head)
        return found in (None, head)


def _make(connection: Connection, head: str) -> None:
    Base.metadata.create_all(connection)
    VERSION_TABLE.create(connection)
    connection.execute(insert(VERSION_TABLE).values(version_num=head))


def _current(connection: Connection) -> str | None:
    """The database's revision; None where it is empty. Raises DatabaseError for one of others' making."""
    tables = set(inspect(connection).get_table_names())
    if not tables & {VERSION_TABLE.name, *Base.metadata.tables}:
        return None
    found = None
    if VERSION_TABLE.name in tables:
        found = connection.execute(select(VERSION_TABLE.c.version_num)).scalar()
    if found not in revisions():
        raise DatabaseError(
            f"the workspace's database has the schema {found or 'of another program'}, which this "
            f"version of Pagoda does not know (it knows {revisions()[0]} to {revisions()[-1]}); use the "
            "version that made it, or another data folder"
        )
    return str(found)


async def _upgrade(database: Database) -> None:
    async with database.writer.connect() as connection:
        if database.is_sqlite:
            # Rebuilding a table drops it, and with it what refers to it, unless nobody looks at references.
            await _pragma(connection, "foreign_keys=OFF")
        try:
            async with connection.begin():
                await _lock(database, connection)
                found = await connection.run_sync(_current)
                if database.is_sqlite and database.url.database:
                    await asyncio.to_thread(_lay_aside, Path(database.url.database), found)
                await connection.run_sync(_run_alembic)
                if database.is_sqlite:
                    broken = (await connection.execute(text("PRAGMA foreign_key_check"))).first()
                    if broken is not None:
                        raise DatabaseError(f"the upgrade would leave broken references in {broken[0]!r}")
        finally:
            if database.is_sqlite:
                await _pragma(connection, "foreign_keys=ON")


def _run_alembic(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def backup_path(file: Path, revision: str | None) -> Path:
    """Where the copy of an older database is laid."""
    return file.with_name(f"{file.stem}.before-upgrade-from-{revision}{file.suffix}")


def _lay_aside(file: Path, revision: str | None) -> None:
    """A copy of what was last committed, whole or not at all; one of an earlier attempt is replaced."""
    target = backup_path(file, revision)
    draft = target.with_name(f".{target.name}")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    source, copy = sqlite3.connect(file), sqlite3.connect(draft)
    try:
        source.backup(copy)
    finally:
        copy.close()
        source.close()
    draft.replace(target)


async def _lock(database: Database, connection: AsyncConnection) -> None:
    """SQLite's writer holds the lock with its transaction already."""
    if not database.is_sqlite:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def _pragma(connection: AsyncConnection, setting: str) -> None:
    """Below SQLAlchemy, which would begin a transaction: within one this pragma does nothing."""
    raw = (await connection.get_raw_connection()).driver_connection
    if raw is None:
        raise DatabaseError("the workspace's database has gone")
    await raw.execute(f"PRAGMA {setting}")
