"""The database: SQLite by default, with one writer and a few readers, or PostgreSQL by its address."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event, make_url, text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import AsyncAdaptedQueuePool

from pagoda.workspace.storage.values import to_json

SQLITE_FILE = "workspace.db"
_READERS = 4
_PATIENCE = 10.0  #: seconds that open sessions get to end when the database is closed
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-4096",  # 4 MiB a connection; the system's cache holds the rest
)


class DatabaseError(ValueError):
    """The database cannot be used; one line for the user."""


class DatabaseClosedError(Exception):
    """What was asked for came after the database was closed."""


class Database:
    """Sessions of the workspace's database. Made by `open`; all methods belong to one event loop."""

    def __init__(self, url: URL, reader: AsyncEngine, writer: AsyncEngine) -> None:
        self.url = url
        self._reader, self._writer = reader, writer
        self._readers = async_sessionmaker(reader, expire_on_commit=False)
        self._writers = async_sessionmaker(writer, expire_on_commit=False)
        # SQLite has one writer; waiting here is fair and free, waiting there is polling.
        self._turn: asyncio.Lock | None = asyncio.Lock() if self.is_sqlite else None
        self._closed = False
        self._open = 0  # sessions
        self._all_ended = asyncio.Event()

    @classmethod
    def open(cls, url: str | None, data_dir: Path) -> Database:
        """`url`: DATABASE_URL, or None for a file in the data folder. Does not connect yet.

        Raises DatabaseError for an address that is none.
        """
        address = database_url(url, data_dir)
        if address.get_backend_name() == "sqlite":
            reader = _sqlite(address, _READERS, "BEGIN")
            return cls(address, reader, _sqlite(address, 1, "BEGIN IMMEDIATE"))
        try:
            engine = create_async_engine(
                address, pool_size=10, max_overflow=10, pool_pre_ping=True, json_serializer=to_json
            )
        except ImportError as error:
            raise DatabaseError("PostgreSQL needs a driver: pip install 'pagoda-llm[postgres]'") from error
        return cls(address, engine, engine)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def make_file(self) -> None:
        """Makes SQLite's file where there is none, for its owner alone: it holds all chats. OSError."""
        name = self.url.database
        if self.is_sqlite and name and name != ":memory:":
            os.close(os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))

    @property
    def writer(self) -> AsyncEngine:
        """For migrations and backups."""
        return self._writer

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that reads; what it changes is lost."""
        async with self._counted(), self._readers() as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session whose changes are kept together at the end, or not at all after an exception."""
        if self._turn is None:
            async with self._counted(), self._writers.begin() as session:
                yield session
            return
        async with self._counted(), self._turn, self._writers.begin() as session:
            yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """A connection on which everything is read as it was at one moment."""
        async with self._counted(), self._reader.connect() as connection:
            if not self.is_sqlite:  # whose transactions are so anyway
                await connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    async def take_turns(self, session: AsyncSession, matter: str) -> None:
        """Lets one writer at a time go on in a matter until its session ends, for what is checked and then
        changed. SQLite has one writer anyway.
        """
        if self._turn is None:
            lock = text("SELECT pg_advisory_xact_lock(hashtext(:matter))")
            await session.execute(lock, {"matter": matter})

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        if self._closed:
            raise DatabaseClosedError
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            if self._closed and not self._open:
                self._all_ended.set()

    async def close(self) -> None:
        """Ends once open sessions have, and takes no new ones: they raise DatabaseClosedError."""
        self._closed = True
        if self._open:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._all_ended.wait()
        await self._reader.dispose()
        if self._writer is not self._reader:
            await self._writer.dispose()


def database_url(url: str | None, data_dir: Path) -> URL:
    """The address with an asynchronous driver. Raises DatabaseError."""
    if not url:
        return URL.create("sqlite+aiosqlite", database=str(data_dir / SQLITE_FILE))
    try:
        address = make_url(url)
    except Exception as error:
        raise DatabaseError("DATABASE_URL is not an address such as postgresql://user@host/name") from error
    drivers = {
        "sqlite": "sqlite+aiosqlite",
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
    }
    kind = address.drivername.partition("+")[0]
    if kind not in drivers:
        raise DatabaseError(f"DATABASE_URL names {kind!r}; sqlite and postgresql are supported")
    return address.set(drivername=drivers[kind])


def _sqlite(url: URL, size: int, begin: str) -> AsyncEngine:
    engine = create_async_engine(
        url, poolclass=AsyncAdaptedQueuePool, pool_size=size, max_overflow=0, json_serializer=to_json
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself, or BEGIN IMMEDIATE comes too late.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
