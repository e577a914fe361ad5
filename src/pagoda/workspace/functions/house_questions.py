"""What the `open_webui` modules ask about the house: users, models, chats, files, functions, and answers.

A function reads and writes in the name of the user whose request it serves; administrators install functions,
but their users do not become administrators by using them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from sqlalchemy import select

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.chats.listing import ChatList
from pagoda.workspace.chats.service import Chats
from pagoda.workspace.chats.words import text_of
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.functions.answers import Question
from pagoda.workspace.functions.context import CURRENT, CallContext
from pagoda.workspace.providers.base import Caller
from pagoda.workspace.providers.registry import Providers
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat, File, Function, Message, Model, User

_ADMIN = "admin"


class HouseQuestions:
    """Answers by name; each gets the context and the arguments."""

    def __init__(self, database: Database, chats: Chats, providers: Providers) -> None:
        self._db = database
        self._chats = chats
        self._lists = ChatList(database)
        self._providers = providers

    def questions(self) -> dict[str, Question]:
        return {
            "user": self._user_question,
            "users": self._users,
            "model": self._model,
            "models": self._models,
            "chat": self._chat,
            "chats": self._chat_list,
            "chat.title": self._chat_title,
            "chat.update": self._chat_update,
            "file": self._file,
            "function": self._function,
            "complete": self._complete,
        }

    async def user(self, user_id: str) -> dict[str, Any]:
        """A user as functions know one; with an id alone where there is none."""
        async with self._db.read() as session:
            row = await session.get(User, user_id)
        return {"id": user_id} if row is None else _user(row)

    async def _user_question(self, context: CallContext, arguments: Mapping[str, Any]) -> Any:
        wanted_id, email = arguments.get("id"), arguments.get("email")
        async with self._db.read() as session:
            query = select(User).where(User.id == wanted_id if wanted_id else User.email == email)
            row = (await session.scalars(query)).first()
        return None if row is None else _user(row)

    async def _users(self, context: CallContext, _arguments: Mapping[str, Any]) -> Any:
        async with self._db.read() as session:
            rows = list(await session.scalars(select(User).order_by(User.created_at)))
        if context.user.get("role") != _ADMIN:
            rows = [row for row in rows if row.id == context.user.get("id")]
        return [_user(row) for row in rows]

    async def _model(self, context: CallContext, arguments: Mapping[str, Any]) -> Any:
        async with self._db.read() as session:
            row = await session.get(Model, str(arguments["id"]))
        return None if row is None else _model(row)

    async def _models(self, context: CallContext, _arguments: Mapping[str, Any]) -> Any:
        listed = await self._providers.models(await self._principal(context))
        return [
            {"id": each["id"], "name": each["name"], "object": "model", "owned_by": "openai"}
            for each in listed["models"]
        ]

    async def _chat(self, context: CallContext, arguments: Mapping[str, Any]) -> Any:
        owner, chat_id = str(context.user.get("id")), str(arguments["id"])
        try:
            chat = await self._chats.get(owner, chat_id)
            line, _, _ = await self._chats.line(owner, chat_id)
        except WorkspaceError:
            return None
        return _chat(chat, line)

    async def _chat_title(self, context: CallContext, arguments: Mapping[str, Any]) -> Any:
        try:
            await self._chats.change(
                str(context.user.get("id")), str(arguments["id"]), {"title": str(arguments["title"])}
            )
        except WorkspaceError:
            return None
        return await self._chat(context, arguments)

    async def _chat_update(self, context: CallContext, arguments: Mapping[str, Any]) -> Any:
        """Title, tags, and the words of messages where they differ; an answer that is being written stays."""
        owner, chat_id = str(context.user.get("id")), str(arguments["id"])
        title, tags, contents = (arguments.get(name) for name in ("title", "tags", "contents"))
        try:
            chat = await self._chats.get(owner, chat_id)
            line, _, _ = await self._chats.line(owner, chat_id)
        except WorkspaceError:
            return None
        if isinstance(title, str) and title.strip() and title != chat.title:
            await self._chats.change(owner, chat_id, {"title": title})
        if isinstance(tags, list):
            await self._lists.set_tags(owner, chat_id, _names(tags))
        for message in line:
            content = contents.get(message.id) if isinstance(contents, dict) else None
            if (
                isinstance(content, str)
                and message.status != "streaming"
                and content != text_of(message.parts)
            ):
                await self._chats.edit(owner, message.id, [content])
        return await self._chat(context, arguments)

    async def _chat_list(self, context: CallContext, _arguments: Mapping[str, Any]) -> Any:
        query = select(Chat).where(Chat.user_id == str(context.user.get("id")))
        async with self._db.read() as session:
            rows = list(await session.scalars(query.order_by(Chat.updated_at.desc()).limit(100)))
        return [{"id": row.id, "title": row.title, "updated_at": row.updated_at // 1000} for row in rows]

    async def _file(self, context: CallContext, arguments: Mapping[str, Any]) -> Any:
        async with self._db.read() as session:
            row = await session.get(File, str(arguments["id"]))
        if row is None or row.user_id != context.user.get("id"):
            return None
        return {
            "id": row.id,
            "user_id": row.user_id,
            "filename": row.name,
            "hash": row.sha256,
            "path": "",
            "data": {"content": row.text or ""},
            "meta": {"name": row.name, "content_type": row.media_type, "size": row.size},
            "created_at": row.created_at // 1000,
        }

    async def _function(self, _context: CallContext, arguments: Mapping[str, Any]) -> Any:
        async with self._db.read() as session:
            row = await session.get(Function, str(arguments["id"]))
        if row is None:
            return None
        return {
            "id": row.id,
            "type": row.type,
            "name": row.name,
            "content": row.content,
            "meta": {"manifest": row.manifest},
            "is_active": row.active,
            "is_global": row.is_global,
        }

    async def _complete(self, context: CallContext, arguments: Mapping[str, Any]) -> Any:
        """A chat completion in the user's name, as the list of its chunks. No filter stands around it."""
        body = dict(arguments["body"])
        found = await self._providers.resolve(await self._principal(context), str(body.get("model") or ""))
        CURRENT.set(context)
        caller = Caller(str(context.user["id"]), priority=1, request_id="")
        asked = {name: value for name, value in body.items() if name not in ("stream", "metadata")}
        chunks = []
        async with aclosing(found.provider.chat({**asked, "model": found.model.id}, caller)) as answer:
            async for chunk in answer:
                chunks.append(chunk)
        return chunks

    async def _principal(self, context: CallContext) -> Principal:
        user = context.user
        return Principal(
            id=str(user.get("id")),
            email=str(user.get("email") or ""),
            name=str(user.get("name") or ""),
            role=str(user.get("role") or "user"),
            settings={},
            groups=frozenset(context.metadata.get("group_ids") or ()),
            permissions={},
        )


def _names(tags: list[Any]) -> list[str]:
    """Of tags, which are texts or objects with a name."""
    found = [each.get("name") if isinstance(each, dict) else each for each in tags]
    return [each for each in found if isinstance(each, str)]


def _user(row: User) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "email": row.email,
        "role": row.role,
        "profile_image_url": "",
        "settings": dict(row.settings),
        "info": {},
        "created_at": row.created_at // 1000,
        "updated_at": row.created_at // 1000,
        "last_active_at": (row.last_active_at or row.created_at) // 1000,
    }


def _model(row: Model) -> dict[str, Any]:
    return {
        "id": row.id,
        "user_id": row.owner_id or "",
        "base_model_id": row.base_id,
        "name": row.name or row.id,
        "params": dict(row.params),
        "meta": {**row.meta, "description": row.description},
        "is_active": row.enabled,
        "created_at": row.created_at // 1000,
        "updated_at": row.updated_at // 1000,
    }


def _chat(chat: Chat, line: list[Message]) -> dict[str, Any]:
    messages = [
        {
            "id": each.id,
            "parentId": each.parent_id,
            "role": each.role,
            "content": text_of(each.parts),
            "timestamp": each.created_at // 1000,
            "model": each.model_id,
        }
        for each in line
    ]
    history = {"currentId": chat.leaf_id, "messages": {each["id"]: each for each in messages}}
    return {
        "id": chat.id,
        "user_id": chat.user_id,
        "title": chat.title,
        "chat": {"title": chat.title, "models": chat.models, "messages": messages, "history": history},
        "archived": chat.archived,
        "pinned": chat.pinned,
        "share_id": chat.share_id,
        "folder_id": chat.folder_id,
        "meta": {},
        "created_at": chat.created_at // 1000,
        "updated_at": chat.updated_at // 1000,
    }
