"""Chats leave in three formats and come in three; a file is taken as a whole or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, TextIO

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.chats.folders import DEEPEST, LONGEST_NAME
from pagoda.workspace.chats.formats import markdown, open_webui, own
from pagoda.workspace.chats.listing import LONGEST_TAG, MOST_TAGS, tags_of
from pagoda.workspace.chats.prompts import Prompts
from pagoda.workspace.chats.service import branch_of, first_words, own_chat, text_of
from pagoda.workspace.files.worker import Workers
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat, ChatTag, Folder, Message, Prompt
from pagoda.workspace.storage.values import new_id, now_ms

IMPORT_BYTES = 300_000_000
IMPORT_SECONDS = 120.0
_IMPORT_MEMORY = 3 << 30
_CHATS_AT_ONCE = 20  #: in memory, and in one transaction: others write in between
_CONVERTER = "pagoda.workspace.chats.convert"


class Transfer:
    """Export and import of one's own chats."""

    def __init__(self, database: Database, prompts: Prompts) -> None:
        self._db = database
        self._prompts = prompts
        self._workers = Workers(IMPORT_SECONDS, _IMPORT_MEMORY, asyncio.Semaphore(1))

    async def chat(self, user_id: str, chat_id: str) -> dict[str, Any]:
        """One chat in the own format. Raises WorkspaceError 404."""
        async with self._db.read() as session:
            chat = await own_chat(session, user_id, chat_id)
            [found] = await _written(session, [chat], await _folder_names(session, user_id))
        return found

    async def markdown(self, user_id: str, chat_id: str) -> str:
        """The visible branch of one chat. Raises WorkspaceError 404."""
        async with self._db.read() as session:
            chat = await own_chat(session, user_id, chat_id)
            rows = await session.scalars(select(Message).where(Message.chat_id == chat_id))
            messages = {row.id: row for row in rows}
        branch = branch_of({key: row.parent_id for key, row in messages.items()}, chat.leaf_id)
        return markdown.write(chat, [messages[each] for each in branch if each in messages])

    async def account(self, user_id: str) -> AsyncIterator[bytes]:
        """Everything in the own format, piece by piece: chats, the archived ones too, and prompts."""
        async with self._db.read() as session:
            prompts = await session.scalars(select(Prompt).where(Prompt.user_id == user_id))
            library = [
                {"command": row.command, "title": row.title, "content": row.content} for row in prompts
            ]
        yield _envelope(library)
        first = True
        async for chat in self._chats(user_id):
            yield (b"" if first else b",\n") + msgspec.json.encode(chat)
            first = False
        yield b"]}\n"

    async def account_for_open_webui(self, user_id: str) -> AsyncIterator[bytes]:
        """All chats as Open WebUI imports them."""
        before = b"["
        async for chat in self._chats(user_id):
            yield before + msgspec.json.encode(open_webui.write(chat))
            before = b",\n"
        yield b"]\n" if before != b"[" else b"[]\n"

    async def take_in(self, user_id: str, body: BinaryIO) -> dict[str, Any]:
        """Imports a file: {"format", "chats": count, "prompts": count}. Prompts whose command the user has
        already are left as they are. Raises WorkspaceError 400, with nothing done.
        """
        with TemporaryDirectory(prefix="pagoda-import-") as folder:
            source, target = Path(folder, "source"), Path(folder, "target")
            await asyncio.to_thread(_copy, body, source)
            answer = await self._workers.run(_CONVERTER, [str(source), str(target)], "file")
            with target.open(encoding="utf-8") as lines:
                await self._insert(user_id, lines)
        return {**answer, "prompts": await self._prompts.add_missing(user_id, answer["prompts"])}

    async def _insert(self, user_id: str, lines: TextIO) -> None:
        made: list[str] = []
        try:
            while batch := await asyncio.to_thread(_parsed, lines):
                async with self._db.write() as session:
                    for values in batch:
                        made.append(await add_chat(session, user_id, values))
        except BaseException:
            # Several transactions, so that others can write in between: taken back as one.
            await asyncio.shield(self._take_back(made))
            raise

    async def _take_back(self, chat_ids: Sequence[str]) -> None:
        async with self._db.write() as session:
            for start in range(0, len(chat_ids), 500):
                await session.execute(delete(Chat).where(Chat.id.in_(chat_ids[start : start + 500])))

    async def _chats(self, user_id: str) -> AsyncIterator[dict[str, Any]]:
        async with self._db.read() as session:
            names = await _folder_names(session, user_id)
            query = select(Chat.id).where(Chat.user_id == user_id).order_by(Chat.created_at, Chat.id)
            ids = list(await session.scalars(query))
        for start in range(0, len(ids), _CHATS_AT_ONCE):
            async with self._db.read() as session:
                wanted = select(Chat).where(Chat.id.in_(ids[start : start + _CHATS_AT_ONCE]))
                rows = list(await session.scalars(wanted.order_by(Chat.created_at, Chat.id)))
                for chat in await _written(session, rows, names):
                    yield chat


async def add_chat(session: AsyncSession, user_id: str, values: Mapping[str, Any]) -> str:
    """A new chat from checked values of the own format; ids are new, whatever they were. Returns its id."""
    ids = {message["id"]: new_id() for message in values["messages"]}
    now = now_ms()
    created = values["created_at"] or now
    chat = Chat(
        **{name: values[name] for name in own.CHAT_FIELDS if name not in ("id", "leaf_id")}
        | {"created_at": created, "updated_at": values["updated_at"] or created}
    )
    chat.id, chat.user_id, chat.leaf_id = new_id(), user_id, ids.get(values["leaf_id"])
    chat.folder_id = await _folder(session, user_id, values["folders"])
    session.add(chat)
    await session.flush()
    for number, message in enumerate(values["messages"]):
        fields = {name: message[name] for name in own.MESSAGE_FIELDS}
        fields["id"], fields["parent_id"] = ids[message["id"]], ids.get(message["parent_id"])
        fields["created_at"] = message["created_at"] or created + number
        session.add(Message(chat_id=chat.id, text=text_of(message["parts"]), **fields))
        if not chat.title and message["role"] == "user":
            chat.title = first_words(text_of(message["parts"]))
    tags = {" ".join(tag.split())[:LONGEST_TAG] for tag in values["tags"]} - {""}
    session.add_all(ChatTag(chat_id=chat.id, tag=tag, user_id=user_id) for tag in sorted(tags)[:MOST_TAGS])
    await session.flush()
    return chat.id


def one(chat: Mapping[str, Any]) -> bytes:
    """A file of one chat in the own format."""
    return _envelope([]) + msgspec.json.encode(chat) + b"]}\n"


def _envelope(prompts: Sequence[Mapping[str, Any]]) -> bytes:
    head = {"format": own.FORMAT, "version": own.VERSION, "exported_at": now_ms(), "prompts": prompts}
    return msgspec.json.encode(head)[:-1] + b',"chats":['


async def _written(
    session: AsyncSession, chats: Sequence[Chat], folders: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    ids = [chat.id for chat in chats]
    tags = await tags_of(session, ids)
    messages: dict[str, list[Message]] = {}
    query = select(Message).where(Message.chat_id.in_(ids)).order_by(Message.created_at, Message.id)
    for message in await session.scalars(query):
        messages.setdefault(message.chat_id, []).append(message)
    return [
        own.write(
            chat, messages.get(chat.id, []), folders.get(chat.folder_id or "", []), tags.get(chat.id, [])
        )
        for chat in chats
    ]


async def _folder_names(session: AsyncSession, user_id: str) -> dict[str, list[str]]:
    """Folder id -> names from the outermost one to it."""
    rows = await session.scalars(select(Folder).where(Folder.user_id == user_id))
    folders = {row.id: row for row in rows}
    found: dict[str, list[str]] = {}
    for key in folders:
        names, at = [], folders.get(key)
        while at is not None:
            names.append(at.name)
            at = folders.get(at.parent_id or "")
        found[key] = names[::-1]
    return found


async def _folder(session: AsyncSession, user_id: str, names: Sequence[str]) -> str | None:
    """The folder at the end of the names, made where it is missing."""
    at: str | None = None
    for name in names[:DEEPEST]:
        cleaned = " ".join(name.split())[:LONGEST_NAME] or "-"
        found = await session.scalar(
            select(Folder)
            .where(Folder.user_id == user_id, Folder.parent_id == at, Folder.name == cleaned)
            .limit(1)
        )
        if found is None:
            found = Folder(user_id=user_id, parent_id=at, name=cleaned)
            session.add(found)
            await session.flush()
        at = found.id
    return at


def _copy(source: BinaryIO, target: Path) -> None:
    with target.open("wb") as file:
        while piece := source.read(1 << 20):
            file.write(piece)


def _parsed(lines: TextIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in islice(lines, _CHATS_AT_ONCE)]
