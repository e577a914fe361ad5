"""Filters and pipes around the answers of the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pagoda.workspace.chats.service import Chats
from pagoda.workspace.chats.words import text_of
from pagoda.workspace.functions.context import CURRENT, CallContext, Tabs
from pagoda.workspace.functions.host import FunctionHost
from pagoda.workspace.functions.message_events import MessageEvents, set_text
from pagoda.workspace.functions.pipeline import Filters, Pipeline
from pagoda.workspace.functions.requested import metadata_of, model_of, user_of
from pagoda.workspace.generation.hooks import AnswerContext
from pagoda.workspace.generation.run import Run
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Message


class PageFunctions:
    """The page's `Hooks`. execute: whether functions may run scripts in the page."""

    def __init__(
        self,
        host: FunctionHost,
        database: Database,
        chats: Chats,
        tabs: Tabs,
        *,
        execute: Callable[[], bool] = bool,
    ) -> None:
        self._host = host
        self._db = database
        self._chats = chats
        self._tabs = tabs
        self._execute = execute

    async def begin(self, context: AnswerContext) -> FilteredAnswer | None:
        """None where no filter meets this answer. A pipe that is to answer finds its context here."""
        if not await self._host.active("filter") and not await self._host.active("pipe"):
            return None
        about = self._about(context)
        CURRENT.set(about)
        filters = await Pipeline(self._host).begin(about)
        return None if filters is None else FilteredAnswer(self._db, self._chats, context.run, filters, about)

    def _about(self, context: AnswerContext) -> CallContext:
        run, principal = context.run, context.principal
        model = model_of(context.resolved.id, context.resolved.model.name, context.resolved.setup)
        ids = {"chat_id": run.chat_id or "", "message_id": run.message.id, "session_id": run.id}
        events = MessageEvents(run, self._tabs, execute=self._execute)
        return CallContext(
            user=user_of(principal),
            model=model,
            metadata=metadata_of(principal, model, context.filter_ids) | ids,
            chat_id=ids["chat_id"],
            message_id=run.message.id,
            session_id=run.id,
            emit=events.take,
            filter_ids=context.filter_ids,
        )


class FilteredAnswer:
    """One answer with filters around it (an `AnswerHook`)."""

    def __init__(
        self, database: Database, chats: Chats, run: Run, filters: Filters, context: CallContext
    ) -> None:
        self._db = database
        self._chats = chats
        self._run = run
        self._filters = filters
        self._context = context
        self._body: dict[str, Any] = {}

    async def inlet(self, body: dict[str, Any]) -> dict[str, Any]:
        """Raises ProviderError with the words of a filter that refuses."""
        self._body = await self._filters.inlet(body)
        return self._body

    async def chunk(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        return await self._filters.chunk(chunk) if self._filters.streams else chunk

    async def end(self) -> None:
        """What filters make of the whole."""
        if self._filters.finishes:
            self._run.tell(*self._run.builder.finish())
            await self._outlet(self._body)

    async def _outlet(self, body: Mapping[str, Any]) -> None:
        context = self._context
        branch = await self._branch(body)
        before = {each["id"]: each["content"] for each in branch}
        changed = await self._filters.outlet(
            {
                "model": str(body["model"]),
                "messages": branch,
                "filter_ids": list(context.filter_ids),
                "chat_id": context.chat_id,
                "session_id": context.session_id,
                "id": context.message_id,
            }
        )
        for message in changed["messages"]:
            if not isinstance(message, dict) or message.get("id") not in before:
                continue
            content = message.get("content")
            if isinstance(content, str) and content != before[message["id"]]:
                await self._change(message["id"], content, before[message["id"]])

    async def _branch(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The conversation up to the answer, and the answer."""
        run, found = self._run, []
        if run.chat_id is not None:
            line, _, _ = await self._chats.line(run.user_id, run.chat_id, leaf_id=run.message.id)
            found = [_as_outlet(each) for each in line if each.id != run.message.id]
        else:
            found = [{"id": f"{index}", **each} for index, each in enumerate(body["messages"])]
        builder = run.builder
        answer = {
            "id": run.message.id,
            "role": "assistant",
            "content": text_of(builder.parts),
            "model": run.message.model_id,
            "timestamp": int(time.time()),
            "usage": builder.usage,
            "info": builder.usage,
            "finish_reason": builder.finish_reason,
            "output": [],
            "sources": [part for part in builder.parts if part["type"] == "source"],
        }
        return [*found, answer]

    async def _change(self, message_id: str, content: str, original: str) -> None:
        if message_id == self._run.message.id:
            set_text(self._run, content)
        if not self._run.is_stored:
            return
        async with self._db.write() as session:
            row = await session.get(Message, message_id)
            if row is None:
                return
            row.meta = {**row.meta, "original_content": original}
            if message_id != self._run.message.id:
                others = [part for part in row.parts if part["type"] != "text"]
                row.parts = [*others, {"type": "text", "text": content}]
                row.text = content


def _as_outlet(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "role": message.role,
        "content": text_of(message.parts),
        "timestamp": message.created_at // 1000,
        "usage": message.usage,
        "info": message.usage,
        "model": message.model_id,
    }
