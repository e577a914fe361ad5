"""Backup and restore: one zip archive of all rows, the files and the key that opens saved secrets.

Rows are written as JSON lines, so that what was saved from SQLite can be brought back into PostgreSQL and
the other way round. An archive of an older schema is brought back as such and then upgraded. What is derived
(the index of search) is left out: it is made anew.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import time
import zipfile
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy import MetaData, Table, insert, inspect, select, text
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from pagoda.workspace.storage.database import Database, DatabaseError
from pagoda.workspace.storage.exchange import FILES, exchange
from pagoda.workspace.storage.migrate import MIGRATIONS, VERSION_TABLE, revisions
from pagoda.workspace.storage.sealing import KEY_FILE
from pagoda.workspace.storage.tables import Base, Session

_FORMAT = 1
_MANIFEST = "manifest.json"
_BATCH = 500  #: rows at a time
_DERIVED = "search_"
_PART = re.compile(r"[\w][\w.-]*")


async def write_backup(database: Database, data_dir: Path, target: Path, version: str) -> dict[str, Any]:
    """Writes the archive, whole or not at all; returns what is in it. A server may run meanwhile: rows are
    those of one moment. Raises DatabaseError, OSError.
    """
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)  # it holds secrets
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
                manifest = await _write(database, data_dir, archive, version)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())[:200]
        raise DatabaseError(f"the workspace's database cannot be read: {reason}") from error
    finally:
        draft.unlink(missing_ok=True)
    return manifest


async def _write(
    database: Database, data_dir: Path, archive: zipfile.ZipFile, version: str
) -> dict[str, Any]:
    counts: dict[str, int] = {}
    async with database.snapshot() as connection:
        tables, revision = await connection.run_sync(_reflected)
        for table in tables:
            counts[table.name] = await _write_rows(connection, table, archive)
    files = 0
    for path in sorted((data_dir / FILES).rglob("*")):
        if path.is_file():
            await asyncio.to_thread(_write_file, archive, path, path.relative_to(data_dir).as_posix())
            files += 1
    if (data_dir / KEY_FILE).is_file():
        archive.write(data_dir / KEY_FILE, KEY_FILE)
    manifest = {
        "format": _FORMAT,
        "schema": revision,
        "version": version,
        "created_at": int(time.time() * 1000),
        "rows": counts,
        "files": files,
    }
    archive.writestr(_MANIFEST, json.dumps(manifest, indent=2) + "\n")
    return manifest


def _reflected(connection: Connection) -> tuple[list[Table], str]:
    """Tables as the database has them, those that others refer to first; and the schema's revision."""
    names = inspect(connection).get_table_names()
    if VERSION_TABLE.name not in names:
        raise DatabaseError("there is no workspace in the data folder yet; nothing to back up")
    found = MetaData()
    found.reflect(connection, only=[name for name in names if not name.startswith(_DERIVED)])
    revision = connection.execute(select(VERSION_TABLE.c.version_num)).scalar_one()
    tables = [table for table in found.sorted_tables if table.name != VERSION_TABLE.name]
    return tables, str(revision)


async def _write_rows(connection: AsyncConnection, table: Table, archive: zipfile.ZipFile) -> int:
    count = 0
    with archive.open(f"rows/{table.name}.jsonl", "w", force_zip64=True) as member:
        result = await connection.stream(select(table))
        async for rows in result.partitions(_BATCH):
            count += len(rows)
            await asyncio.to_thread(lambda batch: member.write(_lines(batch)), rows)
    return count


def _lines(rows: list[Row[Any]] | Any) -> bytes:
    return b"".join(json.dumps(dict(row._mapping)).encode() + b"\n" for row in rows)


def _write_file(archive: zipfile.ZipFile, path: Path, name: str) -> None:
    try:
        archive.write(path, name)
    except FileNotFoundError:
        return  # deleted since; its row may be gone as well


def read_manifest(source: Path) -> dict[str, Any]:
    """What an archive says of itself. Raises DatabaseError for one that cannot be brought back here."""
    with _opened(source) as archive:
        return _manifest(archive, source)


def check_backup(source: Path, room: int) -> dict[str, Any]:
    """The manifest of an archive that is whole, of a known schema and fits into so many bytes when it is
    unpacked; with "administrators", their addresses. Reads all of it. Raises DatabaseError.
    """
    with _opened(source) as archive:
        manifest = _manifest(archive, source)
        if (size := sum(info.file_size for info in archive.infolist())) > room:
            raise DatabaseError(
                f"the backup needs {size / 1e9:.1f} GB of disk, and {max(0, room) / 1e9:.1f} GB are free"
            )
        try:
            broken = archive.testzip()
        except (zipfile.BadZipFile, EOFError, OSError, zlib.error, RuntimeError) as error:
            raise DatabaseError(f"the backup is damaged: {error}") from error
        if broken is not None:
            raise DatabaseError(f"the backup is damaged: {broken!r} is not as it was written")
        return {**manifest, "administrators": _administrators(archive)}


def _administrators(archive: zipfile.ZipFile) -> list[str]:
    found = []
    try:
        with archive.open("rows/user.jsonl") as lines:
            for line in lines:
                row = json.loads(line)
                if row["role"] == "admin" and row["active"]:
                    found.append(str(row["email"]))
    except (KeyError, ValueError, TypeError) as error:
        raise DatabaseError("the backup holds no accounts that can be read") from error
    return found


def _manifest(archive: zipfile.ZipFile, source: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(archive.read(_MANIFEST))
        kind, schema = manifest["format"], manifest["schema"]
    except (KeyError, ValueError, TypeError) as error:
        raise DatabaseError(f"{source} is not a backup of a workspace") from error
    if kind != _FORMAT or schema not in revisions():
        raise DatabaseError(
            f"{source} was made by Pagoda {manifest.get('version')} with the schema {schema}, which this "
            f"version does not know (it knows up to {revisions()[-1]}); upgrade Pagoda first"
        )
    return manifest


async def restore_backup(
    source: Path,
    database: Database,
    data_dir: Path,
    *,
    replace: bool,
    still: Callable[[], Awaitable[None]] | None = None,
) -> Path | None:
    """Brings an archive back while nothing else uses the database. What was here before is laid aside in the
    folder that is returned, but a PostgreSQL database's rows, which are replaced. Sign-ins are not brought
    back. still: called before anything changes, after what can be prepared beside; nothing else may use the
    database from then on. Raises DatabaseError, and changes nothing then.
    """
    with _opened(source) as archive:
        manifest = _manifest(archive, source)
        if not replace and await _in_use(database, data_dir):
            raise DatabaseError("there is a workspace here already; --replace puts the backup in its place")
        with _workshop(data_dir) as draft:
            await asyncio.to_thread(_unpack, archive, draft)
            if not database.is_sqlite:
                if still is not None:
                    await still()
                async with database.writer.begin() as connection:
                    await connection.run_sync(_drop_all)
                    await connection.run_sync(_fill, archive, manifest)
                return exchange(draft, data_dir)
            fresh = Database.open(None, draft)
            fresh.make_file()
            try:
                async with fresh.writer.begin() as connection:
                    await connection.run_sync(_fill, archive, manifest)
            finally:
                await fresh.close()
            if still is not None:
                await still()
            await database.close()
            return exchange(draft, data_dir, database.url.database)


@contextmanager
def _opened(source: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except FileNotFoundError as error:
        raise DatabaseError(f"there is no {source}") from error
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError) as error:
        raise DatabaseError(f"{source} is not a whole archive: {error}") from error


@contextmanager
def _workshop(data_dir: Path) -> Iterator[Path]:
    import shutil

    draft = data_dir / f".restore-{secrets.token_hex(4)}"
    draft.mkdir(mode=0o700, parents=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


async def _in_use(database: Database, data_dir: Path) -> bool:
    if database.is_sqlite and not Path(database.url.database or "").exists():
        return False
    async with database.writer.begin() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        if not set(names) & set(Base.metadata.tables):
            return False
        return await connection.scalar(text('SELECT id FROM "user" LIMIT 1')) is not None


def _unpack(archive: zipfile.ZipFile, draft: Path) -> None:
    """Files and the key; nothing is written outside of `draft`."""
    for info in archive.infolist():
        path = PurePosixPath(info.filename)
        if info.is_dir() or (info.filename != KEY_FILE and path.parts[0] != FILES):
            continue
        if path.is_absolute() or not all(_PART.fullmatch(part) for part in path.parts):
            raise DatabaseError(f"the backup holds a file named {info.filename!r}, which is no name of ours")
        target = draft.joinpath(*path.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with archive.open(info) as member, os.fdopen(descriptor, "wb") as file:
            while block := member.read(1 << 20):
                file.write(block)


def _drop_all(connection: Connection) -> None:
    found = MetaData()
    wanted = {*Base.metadata.tables, VERSION_TABLE.name}
    names = inspect(connection).get_table_names()
    found.reflect(connection, only=[name for name in names if name in wanted or name.startswith(_DERIVED)])
    found.drop_all(connection)


def _fill(connection: Connection, archive: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
    """Tables of the archive's schema, its rows, then the upgrade to this version's. Raises DatabaseError."""
    try:
        _fill_whole(connection, archive, manifest)
    except (DBAPIError, StatementError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        raise DatabaseError(f"the backup's rows do not fit its tables: {reason}") from error


def _fill_whole(connection: Connection, archive: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, manifest["schema"])
    tables, _ = _reflected(connection)
    known = set(archive.namelist())
    for table in tables:
        # Whoever was signed out since must not be signed in again.
        if table.name != Session.__tablename__ and (name := f"rows/{table.name}.jsonl") in known:
            with archive.open(name) as member:
                _insert(connection, table, member)
    command.upgrade(config, "head")


def _insert(connection: Connection, table: Table, lines: Any) -> None:
    batch: list[dict[str, Any]] = []
    deferred = [
        column.name
        for column in table.columns
        if any(key.column.table is table for key in column.foreign_keys)
    ]
    later: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for line in lines:
        row = json.loads(line)
        for name in deferred:  # rows may refer to such as come after them
            if row[name] is not None:
                later.append(({key.name: row[key.name] for key in table.primary_key}, {name: row[name]}))
                row[name] = None
        batch.append(row)
        if len(batch) == _BATCH:
            connection.execute(insert(table), batch)
            batch = []
    if batch:
        connection.execute(insert(table), batch)
    for keys, values in later:
        query = table.update().values(values)
        for name, value in keys.items():
            query = query.where(table.c[name] == value)
        connection.execute(query)
