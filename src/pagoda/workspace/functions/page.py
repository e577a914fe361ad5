"""Filters and pipes around the answers of the page."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.chats.service import Chats, text_of
from pagoda.workspace.functions.context import CURRENT, Ask, CallContext, Tabs
from pagoda.workspace.functions.host import FunctionHost
from pagoda.workspace.functions.message_events import MessageEvents, set_text
from pagoda.workspace.functions.pipeline import Filters, Pipeline
from pagoda.workspace.functions.requested import metadata_of, model_of, user_of
from pagoda.workspace.generation.prompt import said
from pagoda.workspace.generation.run import Run
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Message


class PageFunctions:
    """What `Generations` calls for each answer (its `AnswerHooks`). execute: whether functions may run
    scripts in the page.
    """

    def __init__(
        self, host: FunctionHost, database: Database, chats: Chats, tabs: Tabs, *, execute: bool = False
    ) -> None:
        self._host = host
        self._db = database
        self._chats = chats
        self._tabs = tabs
        self._execute = execute

    async def begin(
        self, run: Run, principal: Principal, body: Mapping[str, Any], filter_ids: Sequence[str]
    ) -> FilteredAnswer | None:
        """None where no filter meets this answer. A pipe that is to answer finds its context here."""
        if not await self._host.active("filter") and not await self._host.active("pipe"):
            return None
        context = await self.context(run, principal, body, filter_ids)
        CURRENT.set(context)
        filters = await Pipeline(self._host).begin(context)
        return None if filters is None else FilteredAnswer(self._db, self._chats, run, filters, context)

    async def context(
        self, run: Run, principal: Principal, body: Mapping[str, Any], filter_ids: Sequence[str]
    ) -> CallContext:
        message = run.message
        model = await model_of(self._db, str(body["model"]))
        ids = {"chat_id": message.chat_id or "", "message_id": message.id, "session_id": run.id}
        metadata = metadata_of(principal, model, body, filter_ids) | ids
        events = MessageEvents(run, self._tabs, execute=self._execute)
        return CallContext(
            user=user_of(principal),
            model=model,
            metadata=metadata,
            emit=events.take,
            filter_ids=filter_ids,
            **ids,
        )


class FilteredAnswer:
    """One answer with filters around it."""

    def __init__(
        self, database: Database, chats: Chats, run: Run, filters: Filters, context: CallContext
    ) -> None:
        self._db = database
        self._chats = chats
        self._run = run
        self._filters = filters
        self._context = context

    async def chat(self, body: dict[str, Any], ask: Ask) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks as filters leave them; at the end what they make of the whole. Raises ProviderError."""
        filters = self._filters
        body = await filters.inlet(body)
        async with aclosing(ask(body)) as chunks:
            async for chunk in chunks:
                if not filters.streams:
                    yield chunk
                elif (changed := await filters.chunk(chunk)) is not None:
                    yield changed
        if filters.finishes:
            await self._outlet(body)

    async def _outlet(self, body: Mapping[str, Any]) -> None:
        context, run = self._context, self._run
        run.tell(*run.builder.finish())
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
        if run.message.chat_id:
            line, _, _ = await self._chats.line(run.user_id, run.message.chat_id, leaf_id=run.message.id)
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
    content = said(message)
    return {
        "id": message.id,
        "role": message.role,
        "content": content[0]["content"] if content else "",
        "timestamp": message.created_at // 1000,
        "usage": message.usage,
        "info": message.usage,
        "model": message.model_id,
    }
