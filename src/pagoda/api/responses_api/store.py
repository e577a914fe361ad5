"""Responses that are kept: in one SQLite file of the data folder, or in memory where there is none.

All use of the database is in one thread of its own, in the order of the calls, so that the event loop never
waits for a disk and two writes never meet.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

Result = TypeVar("Result")

RUNNING = ("queued", "in_progress")
LOST = "The server ended while this response was being made."
_DELETE = "DELETE FROM responses WHERE "
_MISSING_SPACE = 64  #: pages given back to the file system at a time
_VERSION = 1
_SCHEMA = f"""
PRAGMA user_version = {_VERSION};
CREATE TABLE IF NOT EXISTS responses (
    id TEXT PRIMARY KEY, used REAL NOT NULL, status TEXT NOT NULL, size INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS responses_used ON responses (used);
CREATE INDEX IF NOT EXISTS responses_status ON responses (status);
CREATE TABLE IF NOT EXISTS contents (
    id TEXT PRIMARY KEY REFERENCES responses (id) ON DELETE CASCADE,
    response BLOB NOT NULL, input BLOB NOT NULL, events BLOB
);
CREATE TABLE IF NOT EXISTS items (
    id TEXT PRIMARY KEY, response TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_response ON items (response);
"""


class StoreError(Exception):
    """The store cannot be used; one line that says why."""


class MissingResponseError(KeyError):
    """There is no response of this id: never was, or it is deleted or too old."""

    def __init__(self, response_id: str) -> None:
        super().__init__(response_id)
        self.response_id = response_id


@dataclass(frozen=True, slots=True)
class Retention:
    """How long responses are kept: whichever limit is met first, the longest unused go first."""

    seconds: float = 30 * 24 * 3600
    responses: int = 10_000
    bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """response: as the API shows it. input: its own input items. events: its stream, where that can be
    replayed.
    """

    response: dict[str, Any]
    input: list[dict[str, Any]]
    events: list[bytes] | None = None

    @property
    def id(self) -> str:
        return str(self.response["id"])


class ResponseStore:
    """The kept responses of one server. folder: None keeps them in memory. Opened when it is first used;
    what was running when an earlier server ended is failed then.

    All methods raise StoreError.
    """

    def __init__(self, folder: Path | None, retention: Retention | None = None) -> None:
        self._folder = folder
        self._retention = retention or Retention()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="responses")
        self._database: sqlite3.Connection | None = None
        self._count = 0
        self._bytes = 0

    async def put(self, stored: StoredResponse) -> None:
        """Keeps a response, in place of what has its id."""
        await self._run(lambda database: self._put(database, stored))

    def put_soon(self, stored: StoredResponse) -> Future[None]:
        """As `put`, for those who cannot wait."""
        return self._submit(lambda database: self._put(database, stored))

    async def get(self, response_id: str) -> StoredResponse:
        """Raises MissingResponseError."""
        return await self._run(lambda database: _get(database, response_id))

    async def chain(self, response_id: str) -> list[StoredResponse]:
        """The response and those it goes on from, the first one first. Raises MissingResponseError that names
        the one which is not there.
        """
        return await self._run(lambda database: _chain(database, response_id))

    async def items(self, item_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Output items by their ids; those that are not there are left out."""
        return await self._run(lambda database: _items(database, item_ids))

    async def delete(self, response_id: str) -> None:
        """Raises MissingResponseError."""
        await self._run(lambda database: self._delete(database, response_id))

    def close(self) -> None:
        """Waits for what has been given to it and closes the file."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """What is asked of the store is done, also when nobody waits for it any more."""
        return await asyncio.shield(asyncio.wrap_future(self._submit(work)))

    def _submit(self, work: Callable[[sqlite3.Connection], Result]) -> Future[Result]:
        def run() -> Result:
            try:
                if self._database is None:
                    self._database = self._open()
                with self._database as database:  # one transaction
                    return work(database)
            except (sqlite3.Error, OSError) as error:
                where = self._folder or "memory"
                raise StoreError(f"the store of responses in {where} cannot be used: {error}") from error

        return self._thread.submit(run)

    def _open(self) -> sqlite3.Connection:
        if self._folder is None:
            database = sqlite3.connect(":memory:", check_same_thread=False)
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / "responses.db"
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # for its owner alone
            database = sqlite3.connect(path, check_same_thread=False)
        for setting in (
            "auto_vacuum=INCREMENTAL",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
        ):
            database.execute(f"PRAGMA {setting}")
        [version] = database.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            database.close()
            raise sqlite3.DatabaseError(f"it was made by another version of this program ({version})")
        database.executescript(_SCHEMA)
        with database:
            _fail_running(database)
            [(self._count, self._bytes)] = database.execute(
                "SELECT count(*), coalesce(sum(size), 0) FROM responses"
            )
        return database

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _put(self, database: sqlite3.Connection, stored: StoredResponse) -> None:
        response, given = msgspec.json.encode(stored.response), msgspec.json.encode(stored.input)
        events = None if stored.events is None else msgspec.msgpack.encode(stored.events)
        size = len(response) + len(given) + len(events or b"")
        row = (stored.id, time.time(), stored.response["status"], size)
        self._forget(database, "id = ?", (stored.id,))
        database.execute("INSERT INTO responses VALUES (?, ?, ?, ?)", row)
        database.execute("INSERT INTO contents VALUES (?, ?, ?, ?)", (stored.id, response, given, events))
        self._count += 1
        self._bytes += size
        items = [(item["id"], stored.id) for item in stored.response["output"] if "id" in item]
        database.executemany("INSERT OR IGNORE INTO items VALUES (?, ?)", items)
        self._evict(database)

    def _evict(self, database: sqlite3.Connection) -> None:
        limits = self._retention
        self._forget(database, "used < ?", (time.time() - limits.seconds,))
        while self._count > 1 and (self._count > limits.responses or self._bytes > limits.bytes):
            self._forget(database, "id = (SELECT id FROM responses ORDER BY used, id LIMIT 1)", ())
        database.execute(f"PRAGMA incremental_vacuum({_MISSING_SPACE})").fetchall()

    def _delete(self, database: sqlite3.Connection, response_id: str) -> None:
        if not self._forget(database, "id = ?", (response_id,)):
            raise MissingResponseError(response_id)

    def _forget(self, database: sqlite3.Connection, which: str, values: tuple[Any, ...]) -> int:
        gone = database.execute(_DELETE + which + " RETURNING size", values).fetchall()
        self._count -= len(gone)
        self._bytes -= sum(size for (size,) in gone)
        return len(gone)


def _get(database: sqlite3.Connection, response_id: str) -> StoredResponse:
    found = database.execute(
        "SELECT response, input, events FROM contents WHERE id = ?", (response_id,)
    ).fetchone()
    if found is None:
        raise MissingResponseError(response_id)
    response, given, events = found
    return StoredResponse(
        msgspec.json.decode(response),
        msgspec.json.decode(given),
        None if events is None else msgspec.msgpack.decode(events, type=list[bytes]),
    )


def _chain(database: sqlite3.Connection, response_id: str) -> list[StoredResponse]:
    found: list[StoredResponse] = []
    following: str | None = response_id
    while following is not None:
        found.append(_get(database, following))
        following = found[-1].response.get("previous_response_id")
    now = time.time()
    database.executemany("UPDATE responses SET used = ? WHERE id = ?", [(now, stored.id) for stored in found])
    return found[::-1]


def _items(database: sqlite3.Connection, item_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for item_id in item_ids:
        row = database.execute(
            "SELECT response FROM contents WHERE id = (SELECT response FROM items WHERE id = ?)", (item_id,)
        ).fetchone()
        for item in msgspec.json.decode(row[0])["output"] if row is not None else ():
            found[item["id"]] = item
    return {item_id: found[item_id] for item_id in item_ids if item_id in found}


def _fail_running(database: sqlite3.Connection) -> None:
    for (response_id,) in database.execute(
        "SELECT id FROM responses WHERE status IN (?, ?)", RUNNING
    ).fetchall():
        response = _get(database, response_id).response
        response.update(status="failed", error={"code": "server_error", "message": LOST})
        database.execute("UPDATE responses SET status = 'failed' WHERE id = ?", (response_id,))
        encoded = msgspec.json.encode(response)
        database.execute("UPDATE contents SET response = ? WHERE id = ?", (encoded, response_id))
