"""Imports: files of chats that are read in a process of their own and written down piece by piece, meanwhile
others write too. A file is taken as a whole or not at all; only a server that is killed leaves the chats that
it had written, each of them whole.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from sqlalchemy import delete

from pagoda.workspace.chats.insertion import add_chats
from pagoda.workspace.chats.prompts import Prompts
from pagoda.workspace.chats.ready import CHATS_FILE, FILES_FILE
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.files.service import Files
from pagoda.workspace.files.worker import Workers
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat
from pagoda.workspace.storage.values import new_id

FOLDER = "imports"
IMPORT_BYTES = 2_000_000_000
IMPORT_SECONDS = 600.0
KEEP_SECONDS = 3600.0  #: how long what has ended is told of
_IMPORT_MEMORY = 3 << 30
_PIECE = 1_000_000  #: characters of what is in memory, and in one transaction
_CONVERTER = "pagoda.workspace.chats.convert"
_AT_ONCE = 500  #: ids in one query
_log = logging.getLogger(__name__)

#: told when chats have come in
Changed = Callable[[str], None]


@dataclass(slots=True)
class Job:
    """An import. state: reading, saving, done or failed. total: chats, once they are counted. done: how many
    of them are written. chats, prompts, files: how many have come in, at its end.
    """

    id: str
    user_id: str
    state: str = "reading"
    format: str | None = None
    done: int = 0
    total: int | None = None
    chats: int = 0
    prompts: int = 0
    files: int = 0
    error: WorkspaceError | None = None

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed")


class Imports:
    """The imports of everybody; one at a time of each user, and one at a time is read."""

    def __init__(
        self, database: Database, prompts: Prompts, files: Files, data_dir: Path, changed: Changed
    ) -> None:
        self._db = database
        self._prompts = prompts
        self._files = files
        self._folder = data_dir / FOLDER
        self._changed = changed
        self.turn = asyncio.Semaphore(1)  #: of whose file is read
        self._workers = Workers(IMPORT_SECONDS, _IMPORT_MEMORY, self.turn)
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, user_id: str, body: BinaryIO, *, with_files: bool) -> Job:
        """Takes the file, and reads it while the caller goes on. with_files: whether what is attached to
        messages comes in too. Raises WorkspaceError 409 while another import of this user runs.
        """
        if any(not job.ended for job in self.of(user_id)):
            raise WorkspaceError(
                409, "Another import of yours is still running.", kind="conflict", code="import_running"
            )
        job = Job(new_id(), user_id)
        self._jobs[job.id] = job
        folder = self._folder / job.id
        try:
            await asyncio.to_thread(_take, body, folder)
        except BaseException:
            del self._jobs[job.id]
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        task = asyncio.create_task(self._run(job, folder, with_files), name=f"import {job.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def find(self, user_id: str, job_id: str) -> Job:
        """Raises WorkspaceError 404."""
        job = self._jobs.get(job_id)
        if job is None or job.user_id != user_id:
            raise not_found("import")
        return job

    def of(self, user_id: str) -> list[Job]:
        """The oldest first."""
        return [job for job in self._jobs.values() if job.user_id == user_id]

    async def prepare(self) -> None:
        """At the start: removes what a killed server left of its own."""
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def stop(self) -> None:
        """What is not done is taken back."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: Job, folder: Path, with_files: bool) -> None:
        try:
            await self._import(job, folder, with_files)
            job.state = "done"
        except WorkspaceError as error:
            job.state, job.error = "failed", error
        except asyncio.CancelledError:
            job.state = "failed"
            job.error = WorkspaceError(503, "The server was stopped meanwhile.", code="import_stopped")
            raise
        except Exception:
            _log.exception("an import failed")
            job.state = "failed"
            job.error = WorkspaceError(
                500, "The server failed on this import; its log says why.", code="import_failed"
            )
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            asyncio.get_running_loop().call_later(KEEP_SECONDS, self._jobs.pop, job.id, None)
            self._changed(job.user_id)

    async def _import(self, job: Job, folder: Path, with_files: bool) -> None:
        arguments = [str(folder / "source"), str(folder), str(self._files.limit)]
        found = await self._workers.run(_CONVERTER, arguments, "file")
        job.format, job.total, job.state = found["format"], found["chats"], "saving"
        made: list[str] = []
        files: dict[str, str] = {}
        try:
            if with_files and found["files"]:
                await self._files.check_room(job.user_id, found["bytes"])
                with (folder / FILES_FILE).open(encoding="utf-8") as lines:
                    await self._move_files(job.user_id, folder, lines, files)
            with (folder / CHATS_FILE).open(encoding="utf-8") as lines:
                while batch := await asyncio.to_thread(_parsed, lines):
                    async with self._db.write() as session:
                        made += await add_chats(session, job.user_id, batch, files)
                    job.done = len(made)
            job.prompts = await self._prompts.add_missing(job.user_id, found["prompts"])
        except BaseException:
            # Several transactions, so that others can write in between: taken back as one.
            await asyncio.shield(self._take_back(job.user_id, made, list(files.values())))
            job.done = 0
            raise
        job.chats, job.files = len(made), len(files)

    async def _move_files(self, user_id: str, folder: Path, lines: TextIO, files: dict[str, str]) -> None:
        while line := await asyncio.to_thread(lines.readline):
            about: Mapping[str, Any] = json.loads(line)
            place = folder / about["place"]
            file = await self._files.add_read(user_id, place, about)
            files[about["id"]] = file.id

    async def _take_back(self, user_id: str, chat_ids: Sequence[str], file_ids: Sequence[str]) -> None:
        async with self._db.write() as session:
            for start in range(0, len(chat_ids), _AT_ONCE):
                await session.execute(delete(Chat).where(Chat.id.in_(chat_ids[start : start + _AT_ONCE])))
        await self._files.remove(file_ids)


def _take(body: BinaryIO, folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True)
    with (folder / "source").open("xb") as file:
        shutil.copyfileobj(body, file, 1 << 20)


def _parsed(lines: TextIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _some(lines)]


def _some(lines: TextIO) -> Iterator[str]:
    """At least one, while there are any."""
    size = 0
    while size < _PIECE and (line := lines.readline()):
        size += len(line)
        yield line
