"""Links to chats for everybody who is signed in.

A link shows the branch that was visible when it was made, up to its last message then: a snapshot, without a
copy. What is said afterwards is not in it until the chat is shared again; what is deleted is gone from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.chats.formats import own
from pagoda.workspace.chats.insertion import add_chats
from pagoda.workspace.chats.ready import ready
from pagoda.workspace.chats.service import SHARED_LEAF, branch_of, own_chat
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat, Message, User
from pagoda.workspace.storage.values import new_id, now_ms

_SHARED_AT = "shared_at"


@dataclass(frozen=True, slots=True)
class Shared:
    """What a link shows."""

    chat: Chat
    owner: str
    shared_at: int
    messages: Sequence[Message]


class Sharing:
    """Makes links, shows what they lead to, copies it."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def share(self, user_id: str, chat_id: str) -> Chat:
        """Makes the link, or renews what it shows; its id stays the same. Raises WorkspaceError."""
        async with self._db.write() as session:
            chat = await own_chat(session, user_id, chat_id)
            if chat.leaf_id is None:
                raise WorkspaceError(
                    400, "There is nothing in this chat to share yet.", code="nothing_to_share"
                )
            chat.share_id = chat.share_id or new_id()
            chat.meta = {**chat.meta, SHARED_LEAF: chat.leaf_id, _SHARED_AT: now_ms()}
        return chat

    async def withdraw(self, user_id: str, chat_id: str) -> None:
        """The link leads nowhere from now on, and never again. Raises WorkspaceError 404."""
        async with self._db.write() as session:
            chat = await own_chat(session, user_id, chat_id)
            chat.share_id = None
            chat.meta = {
                name: value for name, value in chat.meta.items() if name not in (SHARED_LEAF, _SHARED_AT)
            }

    async def show(self, share_id: str) -> Shared:
        """Raises WorkspaceError 404."""
        async with self._db.read() as session:
            return await _shared(session, share_id)

    async def copy(self, user_id: str, share_id: str) -> str:
        """What a link shows as a chat of one's own; returns its id. Raises WorkspaceError 404."""
        async with self._db.write() as session:
            found = await _shared(session, share_id)
            values: dict[str, Any] = own.write(found.chat, found.messages, [], [])
            values |= {
                "leaf_id": found.messages[-1].id if found.messages else None,
                "title_from": "user",
                "pinned": False,
                "archived": False,
                "params": {},
                "filter_ids": [],
                "created_at": now_ms(),
                "updated_at": now_ms(),
            }
            for message in values["messages"]:
                message["parts"] = [_without_bytes(part) for part in message["parts"]]
                message["rating"] = None
                if message["status"] == "streaming":
                    message["status"] = "stopped"
            [chat_id] = await add_chats(session, user_id, [ready(values)])
            return chat_id


async def _shared(session: AsyncSession, share_id: str) -> Shared:
    row = (
        await session.execute(
            select(Chat, User.name).join(User, User.id == Chat.user_id).where(Chat.share_id == share_id)
        )
    ).one_or_none()
    if row is None:
        raise not_found("shared chat")
    chat, owner = row
    edges = await session.execute(select(Message.id, Message.parent_id).where(Message.chat_id == chat.id))
    parents: dict[str, str | None] = {edge.id: edge.parent_id for edge in edges}
    leaf = chat.meta.get(SHARED_LEAF)
    branch = branch_of(parents, leaf if leaf in parents else None)
    messages: list[Message] = []
    for start in range(0, len(branch), 1000):
        part = branch[start : start + 1000]
        rows = {each.id: each for each in await session.scalars(select(Message).where(Message.id.in_(part)))}
        messages += [rows[each] for each in part]
    return Shared(chat, owner, shared_at(chat) or chat.updated_at, messages)


def shared_at(chat: Chat) -> int | None:
    """When the chat's link was made or renewed; None without a link."""
    return int(chat.meta.get(_SHARED_AT) or chat.updated_at) if chat.share_id else None


def _without_bytes(part: dict[str, Any]) -> dict[str, Any]:
    """Files stay their owner's; the copy keeps their names."""
    return {**part, "file_id": None} if part.get("file_id") else part
