"""Chats leave in four formats: the own one, with files or without, Open WebUI's, and Markdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.chats.formats import markdown, open_webui, own
from pagoda.workspace.chats.listing import tags_of
from pagoda.workspace.chats.ready import file_ids_of
from pagoda.workspace.chats.service import branch_of, own_chat
from pagoda.workspace.files.service import Files
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat, Folder, Message, Prompt
from pagoda.workspace.storage.values import now_ms

_CHATS_AT_ONCE = 20  #: in memory


class Transfer:
    """Export of one's own chats."""

    def __init__(self, database: Database, files: Files) -> None:
        self._db = database
        self._files = files

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

    def account(self, user_id: str) -> AsyncIterator[bytes]:
        """Everything in the own format, piece by piece: chats, the archived ones too, and prompts."""
        return self._file(user_id, self._chats(user_id))

    async def packed(self, user_id: str, chat: dict[str, Any] | None) -> AsyncIterator[bytes]:
        """An archive of this chat in the own format, or of everything, with the files spoken of."""
        from pagoda.workspace.chats.archive import Packer  # zipfile, when it is needed

        packer = Packer()
        file_ids: dict[str, None] = {}
        if chat is None:
            pieces = self._file(user_id, _noting(self._chats(user_id), file_ids))
        else:
            file_ids |= dict.fromkeys(file_ids_of(chat))
            pieces = _only(one(chat))
        async for piece in packer.chats(pieces):
            yield piece
        for file_id in file_ids:
            file = (await self._files.attached(user_id, [file_id])).get(file_id)
            if file is None:
                continue
            about = {"name": file.name, "media_type": file.media_type, "text": file.text}
            packed = packer.file(file_id, about, self._files.path(file_id))
            while (ready := await asyncio.to_thread(_next, packed)) is not None:
                yield ready
        yield packer.end()

    async def _file(self, user_id: str, chats: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
        async with self._db.read() as session:
            prompts = await session.scalars(select(Prompt).where(Prompt.user_id == user_id))
            library = [
                {"command": row.command, "title": row.title, "content": row.content} for row in prompts
            ]
        yield _envelope(library)
        first = True
        async for chat in chats:
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


async def _noting(
    chats: AsyncIterator[dict[str, Any]], file_ids: dict[str, None]
) -> AsyncIterator[dict[str, Any]]:
    async for chat in chats:
        file_ids |= dict.fromkeys(file_ids_of(chat))
        yield chat


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)


async def _only(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


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
