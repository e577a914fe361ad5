"""Brings the database to the tables of this version, and refuses one that it does not know."""

from __future__ import annotations

from sqlalchemy import insert, inspect, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from pagoda.workspace.storage.database import Database, DatabaseError
from pagoda.workspace.storage.tables import Base, Setting
from pagoda.workspace.storage.values import now_ms

SCHEMA = 1  #: of this version's tables
_KEY = "schema"


async def prepare(database: Database) -> None:
    """Makes the tables in an empty database. Raises DatabaseError for an unknown or unreachable one."""
    try:
        async with database.writer.begin() as connection:
            await connection.run_sync(_prepare)
    except (DBAPIError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DatabaseError(f"the workspace's database cannot be used: {reason}") from error


def _prepare(connection: Connection) -> None:
    if not inspect(connection).has_table(Setting.__tablename__):
        Base.metadata.create_all(connection)
        connection.execute(insert(Setting).values(key=_KEY, value={"value": SCHEMA}, updated_at=now_ms()))
        return
    found = connection.execute(select(Setting.value).where(Setting.key == _KEY)).scalar()
    version = found.get("value") if isinstance(found, dict) else None
    if version != SCHEMA:
        raise DatabaseError(
            f"the workspace's database has schema {version}, and this version of Pagoda knows {SCHEMA}; "
            "use the version that made it, or another data folder"
        )
