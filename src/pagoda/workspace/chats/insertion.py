"""New chats from checked values of the own format, many at once: rows as the tables want them, and the words
that the search looks for, which `ready` has cut before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.chats.folders import DEEPEST, LONGEST_NAME
from pagoda.workspace.chats.formats import own
from pagoda.workspace.chats.listing import LONGEST_TAG, MOST_TAGS
from pagoda.workspace.chats.search import add_entries
from pagoda.workspace.storage.tables import Base, Chat, ChatTag, Folder, Message
from pagoda.workspace.storage.values import new_id, now_ms

_CHAT_FIELDS = tuple(name for name in own.CHAT_FIELDS if name not in ("id", "leaf_id"))
Rows = list[dict[str, Any]]


async def add_chats(
    session: AsyncSession,
    user_id: str,
    chats: Sequence[Mapping[str, Any]],
    files: Mapping[str, str] | None = None,
) -> list[str]:
    """Adds what `ready` has made; returns the new ids. Ids are new, whatever they were; those of files are
    looked up in `files`, and stay where they are not in it.
    """
    folders = _Folders(session, user_id)
    chat_rows: Rows = []
    messages: Rows = []
    tags: Rows = []
    entries: Rows = []
    for chat in chats:
        chat_id = new_id()
        ids = {message["id"]: new_id() for message in chat["messages"]}
        created = chat["created_at"] or now_ms()
        chat_rows.append(
            {name: chat[name] for name in _CHAT_FIELDS}
            | {
                "id": chat_id,
                "user_id": user_id,
                "leaf_id": ids.get(chat["leaf_id"]),
                "folder_id": await folders.find(chat["folders"]),
                "created_at": created,
                "updated_at": chat["updated_at"] or created,
                "meta": {},
            }
        )
        entries.append({"chat": chat_id, "message": None, "title": chat["title_words"], "words": ""})
        for number, message in enumerate(chat["messages"]):
            fields = {name: message[name] for name in own.MESSAGE_FIELDS}
            fields |= {
                "id": ids[message["id"]],
                "chat_id": chat_id,
                "parent_id": ids.get(message["parent_id"]),
                "created_at": message["created_at"] or created + number,
                "text": message["text"],
            }
            if files:
                fields["parts"] = [_with_new_id(part, files) for part in fields["parts"]]
            messages.append(fields)
            entries.append({"chat": chat_id, "message": fields["id"], "title": "", "words": message["words"]})
        named = {" ".join(tag.split())[:LONGEST_TAG] for tag in chat["tags"]} - {""}
        tags += [{"chat_id": chat_id, "tag": tag, "user_id": user_id} for tag in sorted(named)[:MOST_TAGS]]
    for table, rows in ((Chat, chat_rows), (Message, messages), (ChatTag, tags)):
        if rows:
            await session.execute(insert(_table(table)), rows)
    await add_entries(session, user_id, entries)
    return [row["id"] for row in chat_rows]


class _Folders:
    """Folders by their names from the outermost one, made where they are missing."""

    def __init__(self, session: AsyncSession, user_id: str) -> None:
        self._session = session
        self._user_id = user_id
        self._known: dict[tuple[str | None, str], str] = {}

    async def find(self, names: Sequence[str]) -> str | None:
        at: str | None = None
        for name in names[:DEEPEST]:
            cleaned = " ".join(name.split())[:LONGEST_NAME] or "-"
            found = self._known.get((at, cleaned))
            if found is None:
                found = self._known[at, cleaned] = await self._look(at, cleaned)
            at = found
        return at

    async def _look(self, parent_id: str | None, name: str) -> str:
        mine = Folder.user_id == self._user_id, Folder.parent_id == parent_id, Folder.name == name
        found = await self._session.scalar(select(Folder.id).where(*mine).limit(1))
        if found is None:
            folder = Folder(user_id=self._user_id, parent_id=parent_id, name=name)
            self._session.add(folder)
            await self._session.flush()
            found = folder.id
        return found


def _with_new_id(part: dict[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    known = files.get(part.get("file_id") or "")
    return part if known is None else {**part, "file_id": known}


def _table(entity: type[Base]) -> Table:
    table = entity.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{entity} has no table of its own")
    return table
