"""Chats and their messages. Every method takes the owner's id; what is not theirs is not found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from pagoda.workspace.chats.folders import own_folder
from pagoda.workspace.chats.words import first_words, text_of
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat, Message
from pagoda.workspace.storage.values import new_id, now_ms

LONGEST_TITLE = 200
GROUP = "group"  #: in an answer's meta: {id, column} of those that were asked for together
SHARED_LEAF = "shared_leaf"  #: in a chat's meta: where what its link shows ends
_AT_ONCE = 1000  #: ids in one query; databases have limits
_CHANGEABLE = ("title", "folder_id", "pinned", "archived", "leaf_id", "models", "params", "filter_ids")


class Chats:
    """Reads and writes chats."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def create(self, user_id: str, values: Mapping[str, Any]) -> Chat:
        """Raises WorkspaceError."""
        chat = Chat(user_id=user_id, **{name: values[name] for name in _CHANGEABLE if name in values})
        if chat.title:
            chat.title_from = "user"
        async with self._db.write() as session:
            if chat.folder_id is not None:
                await own_folder(session, user_id, chat.folder_id)
            session.add(chat)
        return chat

    async def get(self, user_id: str, chat_id: str) -> Chat:
        """Raises WorkspaceError 404."""
        async with self._db.read() as session:
            return await own_chat(session, user_id, chat_id)

    async def change(self, user_id: str, chat_id: str, values: Mapping[str, Any]) -> Chat:
        """Raises WorkspaceError."""
        async with self._db.write() as session:
            chat = await own_chat(session, user_id, chat_id)
            for name in _CHANGEABLE:
                if name in values:
                    setattr(chat, name, values[name])
            if "title" in values:
                chat.title = str(values["title"]).strip()[:LONGEST_TITLE]
                chat.title_from = "user"
            if "leaf_id" in values and values["leaf_id"] is not None:
                await own_message(session, chat_id, values["leaf_id"])
            if values.get("folder_id") is not None:
                await own_folder(session, user_id, values["folder_id"])
        return chat

    async def delete(self, user_id: str, chat_id: str) -> None:
        """Raises WorkspaceError 404."""
        async with self._db.write() as session:
            chat = await own_chat(session, user_id, chat_id)
            await session.delete(chat)

    async def line(
        self,
        user_id: str,
        chat_id: str,
        *,
        leaf_id: str | None = None,
        before: str | None = None,
        limit: int | None = None,
    ) -> tuple[list[Message], dict[str, list[str]], bool]:
        """The visible branch, oldest first: its last `limit` messages, or the last ones before the message
        `before`; each one's siblings in order of their making; whether there are earlier ones.

        Of messages that are not shown nothing but their place in the tree is read. Raises WorkspaceError 404.
        """
        async with self._db.read() as session:
            chat = await own_chat(session, user_id, chat_id)
            edges = (
                await session.execute(
                    select(Message.id, Message.parent_id)
                    .where(Message.chat_id == chat_id)
                    .order_by(Message.created_at, Message.id)
                )
            ).all()
            parents: dict[str, str | None] = {row.id: row.parent_id for row in edges}
            children: dict[str | None, list[str]] = {}
            for row in edges:
                children.setdefault(row.parent_id, []).append(row.id)
            leaf = before or leaf_id or chat.leaf_id
            if leaf is not None and leaf not in parents:
                raise not_found("message")
            if before is not None:
                branch = branch_of(parents, before)[:-1]
            else:
                branch = branch_of(parents, deepest(children, leaf))
            shown = branch if limit is None else branch[-limit:]
            rows: dict[str, Message] = {}
            for start in range(0, len(shown), _AT_ONCE):
                part = shown[start : start + _AT_ONCE]
                found = await session.scalars(select(Message).where(Message.id.in_(part)))
                rows.update((row.id, row) for row in found)
        siblings = {each: children.get(parents[each], []) for each in shown}
        return [rows[each] for each in shown], siblings, len(shown) < len(branch)

    async def beside(self, user_id: str, answer: Message) -> list[Message]:
        """All answers, with their versions, that stand side by side with this one, itself among them; none
        where it was asked for alone.
        """
        group = group_of(answer)
        if group is None:
            return []
        async with self._db.read() as session:
            await own_chat(session, user_id, answer.chat_id)
            found = await session.scalars(
                select(Message)
                .where(Message.chat_id == answer.chat_id, Message.parent_id == answer.parent_id)
                .order_by(Message.created_at, Message.id)
            )
            places = [(each, row) for row in found if (each := group_of(row)) and each["id"] == group["id"]]
        return [row for _, row in sorted(places, key=lambda place: place[0]["column"])]

    async def add_question(
        self, user_id: str, chat_id: str, parent_id: str | None, parts: list[Any]
    ) -> Message:
        """A message of the user's, after `parent_id`; the first one names the chat."""
        text = text_of(parts)
        message = Message(chat_id=chat_id, parent_id=parent_id, role="user", parts=parts, text=text)
        async with self._db.write() as session:
            chat = await own_chat(session, user_id, chat_id)
            if parent_id is not None:
                await own_message(session, chat_id, parent_id)
            session.add(message)
            await session.flush()
            chat.leaf_id = message.id
            chat.updated_at = now_ms()
            if not chat.title and text:
                chat.title = first_words(text)
        return message

    async def add_answers(
        self,
        user_id: str,
        chat_id: str,
        parent_id: str,
        models: Sequence[str],
        *,
        version_of: str | None = None,
    ) -> list[Message]:
        """Empty answers that are about to stream; the first is the visible one. version_of: the answer beside
        others whose place they take.
        """
        made = [
            Message(
                chat_id=chat_id,
                parent_id=parent_id,
                role="assistant",
                model_id=model,
                status="streaming",
                meta=meta,
            )
            for model, meta in zip(models, side_by_side(len(models)), strict=True)
        ]
        async with self._db.write() as session:
            chat = await own_chat(session, user_id, chat_id)
            parent = await own_message(session, chat_id, parent_id)
            if parent.role != "user":
                raise WorkspaceError(400, "Only a user's message can be answered.", param="parent_id")
            if version_of is not None:
                before = await own_message(session, chat_id, version_of)
                if before.parent_id != parent_id:
                    raise WorkspaceError(400, "It answers another question.", param="version_of")
                if group := group_of(before):
                    for each in made:
                        each.meta = {GROUP: group}
            session.add_all(made)
            await session.flush()
            chat.leaf_id = made[0].id
            chat.updated_at = now_ms()
        return made

    async def save_answer(self, message: Message) -> None:
        """Writes what an answer has become so far."""
        async with self._db.write() as session:
            row = await session.get(Message, message.id)
            if row is None:  # deleted while it was made
                return
            for name in ("parts", "text", "status", "usage", "timing", "error"):
                setattr(row, name, getattr(message, name))

    async def rate(self, user_id: str, message_id: str, rating: int | None) -> None:
        """1, -1 or None. Raises WorkspaceError."""
        async with self._db.write() as session:
            message = await session.get(Message, message_id)
            if message is None:
                raise not_found("message")
            await own_chat(session, user_id, message.chat_id)
            message.rating = rating

    async def edit(self, user_id: str, message_id: str, texts: Sequence[str]) -> Message:
        """Other words for a message, in its place: its text parts become these; what else it holds stays. To
        ask otherwise and keep what was asked, ask again. Raises WorkspaceError.
        """
        async with self._db.write() as session:
            message = await session.get(Message, message_id)
            if message is None:
                raise not_found("message")
            await own_chat(session, user_id, message.chat_id)
            if message.status == "streaming":
                raise WorkspaceError(
                    409, "This answer is still being written.", kind="conflict", code="being_written"
                )
            others = [part for part in message.parts if part["type"] != "text"]
            place = next((i for i, part in enumerate(message.parts) if part["type"] == "text"), len(others))
            message.parts = [
                *others[:place],
                *({"type": "text", "text": each} for each in texts),
                *others[place:],
            ]
            message.text = text_of(message.parts)
        return message

    async def delete_message(self, user_id: str, message_id: str) -> None:
        """With everything that was said after it. Raises WorkspaceError 404."""
        async with self._db.write() as session:
            message = await session.get(Message, message_id)
            if message is None:
                raise not_found("message")
            chat = await own_chat(session, user_id, message.chat_id)
            edges = (
                await session.execute(select(Message.id, Message.parent_id).where(Message.chat_id == chat.id))
            ).all()
            children: dict[str | None, list[str]] = {}
            for row in edges:
                children.setdefault(row.parent_id, []).append(row.id)
            gone, level = {message_id}, [message_id]
            while level := [child for each in level for child in children.get(each, ()) if child not in gone]:
                gone.update(level)
            doomed = sorted(gone)
            for start in range(0, len(doomed), _AT_ONCE):
                part = doomed[start : start + _AT_ONCE]
                await session.execute(delete(Message).where(Message.id.in_(part)))
            if chat.leaf_id in gone:
                chat.leaf_id = message.parent_id
            if chat.meta.get(SHARED_LEAF) in gone:
                chat.meta = {**chat.meta, SHARED_LEAF: message.parent_id}

    async def end_interrupted(self) -> None:
        """At the start: answers that a server left in the middle are stopped, with what they have."""
        async with self._db.write() as session:
            rows = await session.scalars(
                select(Message).where(or_(Message.status == "streaming", Message.status == "waiting"))
            )
            for row in rows:
                row.status = "stopped"


def side_by_side(count: int) -> list[dict[str, Any]]:
    """For so many answers that are asked for together: what tells it later."""
    if count == 1:
        return [{}]
    group = new_id()
    return [{GROUP: {"id": group, "column": column}} for column in range(count)]


def group_of(answer: Message) -> dict[str, Any] | None:
    """With which others it was asked for, and where among them it stands: {"id", "column"}."""
    match (answer.meta or {}).get(GROUP):
        case {"id": str(group), "column": int(column)}:
            return {"id": group, "column": column}
    return None  # also for what an imported file says instead


async def own_chat(session: AsyncSession, user_id: str, chat_id: str) -> Chat:
    """Raises WorkspaceError 404, for what is somebody else's too."""
    chat = await session.get(Chat, chat_id)
    if chat is None or chat.user_id != user_id:
        raise not_found("chat")
    return chat


async def own_message(session: AsyncSession, chat_id: str, message_id: str) -> Message:
    """A message of this chat. Raises WorkspaceError 404."""
    message = await session.get(Message, message_id)
    if message is None or message.chat_id != chat_id:
        raise not_found("message")
    return message


def branch_of(parents: Mapping[str, str | None], leaf: str | None) -> list[str]:
    """From the first message to the leaf."""
    branch: list[str] = []
    seen: set[str] = set()
    while leaf is not None and leaf not in seen:
        seen.add(leaf)
        branch.append(leaf)
        leaf = parents.get(leaf)
    return branch[::-1]


def deepest(children: Mapping[str | None, Sequence[str]], start: str | None) -> str | None:
    """From a message down its newest answers to the end of that branch."""
    seen: set[str | None] = set()
    while start not in seen and children.get(start):
        seen.add(start)
        start = children[start][-1]
    return start
