"""The list of one's chats: filters, pages that stay where they are, tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.chats.service import own_chat
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat, ChatTag

PAGE = 50
MOST_TAGS = 20  #: of one chat
LONGEST_TAG = 40  #: characters
NO_FOLDER = "none"  #: in a filter: chats that lie in no folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFilter:
    """Which chats. folder: an id, NO_FOLDER, or None for all. pinned: None for both."""

    archived: bool = False
    folder: str | None = None
    tag: str | None = None
    pinned: bool | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A chat in a list, with its tags in order."""

    chat: Chat
    tags: tuple[str, ...]


class ChatList:
    """Lists and tags of one's own chats."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def page(
        self, user_id: str, wanted: ChatFilter, *, cursor: str | None = None, limit: int = PAGE
    ) -> tuple[list[Listed], str | None]:
        """The last changed first, and the cursor of the next page; None after the last.

        A chat that changes meanwhile moves to the top; the others are each listed once. Raises WorkspaceError
        400 for a cursor that no page has given.
        """
        query = select(Chat).where(Chat.user_id == user_id, Chat.archived == wanted.archived)
        if wanted.folder == NO_FOLDER:
            query = query.where(Chat.folder_id.is_(None))
        elif wanted.folder is not None:
            query = query.where(Chat.folder_id == wanted.folder)
        if wanted.pinned is not None:
            query = query.where(Chat.pinned == wanted.pinned)
        if wanted.tag is not None:
            tagged = select(ChatTag.chat_id).where(ChatTag.user_id == user_id, ChatTag.tag == wanted.tag)
            query = query.where(Chat.id.in_(tagged))
        if cursor is not None:
            time, chat_id = _place(cursor)
            query = query.where(or_(Chat.updated_at < time, and_(Chat.updated_at == time, Chat.id < chat_id)))
        query = query.order_by(Chat.updated_at.desc(), Chat.id.desc()).limit(limit + 1)
        async with self._db.read() as session:
            found = list(await session.scalars(query))
            tags = await tags_of(session, [chat.id for chat in found])
        shown = found[:limit]
        more = f"{shown[-1].updated_at}.{shown[-1].id}" if len(found) > limit else None
        return [Listed(chat, tuple(tags.get(chat.id, ()))) for chat in shown], more

    async def tags(self, user_id: str) -> dict[str, int]:
        """All of a user's tags, and how many chats have each; in order."""
        query = select(ChatTag.tag, func.count()).where(ChatTag.user_id == user_id).group_by(ChatTag.tag)
        async with self._db.read() as session:
            rows = (await session.execute(query.order_by(ChatTag.tag))).all()
        return {row[0]: row[1] for row in rows}

    async def tags_of(self, chat_id: str) -> tuple[str, ...]:
        """Of a chat that the asker has been found to own."""
        async with self._db.read() as session:
            return tuple((await tags_of(session, [chat_id])).get(chat_id, ()))

    async def set_tags(self, user_id: str, chat_id: str, tags: Iterable[str]) -> list[str]:
        """These and no others; returned as they are kept. Raises WorkspaceError."""
        wanted = cleaned_tags(tags)
        async with self._db.write() as session:
            await own_chat(session, user_id, chat_id)
            await session.execute(delete(ChatTag).where(ChatTag.chat_id == chat_id))
            session.add_all(ChatTag(chat_id=chat_id, tag=tag, user_id=user_id) for tag in wanted)
        return wanted


async def tags_of(session: AsyncSession, chat_ids: Sequence[str]) -> dict[str, list[str]]:
    """Chat id -> tags in order, of those that have any."""
    found: dict[str, list[str]] = {}
    query = select(ChatTag.chat_id, ChatTag.tag).where(ChatTag.chat_id.in_(chat_ids)).order_by(ChatTag.tag)
    for chat_id, tag in (await session.execute(query)).all():
        found.setdefault(chat_id, []).append(tag)
    return found


def cleaned_tags(tags: Iterable[str]) -> list[str]:
    """Without blanks at their ends, each once, in order. Raises WorkspaceError 400."""
    wanted = sorted({" ".join(tag.split()) for tag in tags} - {""})
    if len(wanted) > MOST_TAGS:
        raise WorkspaceError(
            400,
            f"A chat has at most {MOST_TAGS} tags.",
            param="tags",
            code="most_tags",
            values={"count": MOST_TAGS},
        )
    if any(len(tag) > LONGEST_TAG for tag in wanted):
        raise WorkspaceError(
            400,
            f"A tag has at most {LONGEST_TAG} characters.",
            param="tags",
            code="tag_length",
            values={"count": LONGEST_TAG},
        )
    return wanted


def _place(cursor: str) -> tuple[int, str]:
    time, _, chat_id = cursor.partition(".")
    if not (time.isascii() and time.isdigit() and len(time) < 18 and chat_id):
        raise WorkspaceError(400, "This cursor is none that a page of chats gave.", param="cursor")
    return int(time), chat_id
