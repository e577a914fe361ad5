"""What a model may make without being asked: titles, tags, follow-ups, the end of a sentence.

All off by default. They go on in the chat's own words, so that what the engine has computed for the chat
serves them, and at the lowest priority, so that nobody waits for them. What a model thought is never part of
them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.chats.service import LONGEST_TITLE, Chats
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.generation.answering import Asked
from pagoda.workspace.generation.builder import AnswerBuilder
from pagoda.workspace.generation.prompt import answered, chat_body, chat_messages
from pagoda.workspace.generation.run import Run
from pagoda.workspace.generation.tabs import Tabs
from pagoda.workspace.generation.usage import count
from pagoda.workspace.providers.base import LOWEST_PRIORITY, Caller, ProviderError
from pagoda.workspace.providers.registry import Providers, Resolved
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Chat, ChatTag, Message
from pagoda.workspace.storage.values import new_id

TITLE = (
    "Write a title for this conversation: at most six words, in its language, without quotation marks. "
    "Answer with the title alone."
)
TAGS = (
    "Name one to three general subjects of this conversation, in its language, separated by commas. "
    "Answer with them alone."
)
FOLLOW_UPS = (
    "Write three short questions that I might ask next, in my language, each on a line of its own. "
    "Answer with the questions alone."
)
COMPLETION = (
    "I am writing my next message. Go on where it breaks off, with a few words in its language, and answer "
    "with the words to be added alone. My message so far: "
)
_MOST_TOKENS = {"title": 32, "tags": 32, "follow_ups": 128, "completion": 24}
_SECONDS = 120.0  #: until a task is given up
_MOST_TAGS, _LONGEST_TAG = 3, 40
_MOST_FOLLOW_UPS, _LONGEST_FOLLOW_UP = 3, 200
_LONGEST_DRAFT = 4000
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s*")
_LABEL = re.compile(r"^(?:title|标题)\s*[:：]\s*", re.IGNORECASE)

_log = logging.getLogger(__name__)


class Tasks:
    """settings: as they are at the moment."""

    def __init__(
        self,
        database: Database,
        chats: Chats,
        providers: Providers,
        tabs: Tabs,
        settings: Callable[[], WorkspaceSettings],
    ) -> None:
        self._db = database
        self._chats = chats
        self._providers = providers
        self._tabs = tabs
        self._settings = settings
        self._running: set[asyncio.Task[None]] = set()

    def ended(self, run: Run, asked: Asked) -> None:
        """An answer has ended: makes in the background what is switched on."""
        settings = self._settings()
        wanted = settings.title_generation or settings.tags_generation or settings.follow_up_generation
        if wanted and run.chat_id is not None and run.message.status == "done":
            self._spawn(self._after(run, asked, run.chat_id))

    async def complete(self, principal: Principal, chat_id: str | None, model: str, draft: str) -> str:
        """How a draft might go on; "" for no idea. Raises WorkspaceError."""
        if not self._settings().autocomplete_generation:
            raise WorkspaceError(403, "Completion by a model is switched off.", kind="permission")
        found = await self._resolve(principal, await self._providers.resolve(principal, model))
        branch: list[Message] = []
        if chat_id is not None:
            branch, _, _ = await self._chats.line(principal.id, chat_id)
        merged = found.setup.merged({})
        # Files would have to be read again for each letter that is typed; their questions are left as text.
        texts = [_text_only(message) for message in branch]
        messages = await chat_messages(texts, merged.get("system", ""), principal.id, None)
        body = chat_body(found.id, messages, merged)
        try:
            said = await self._ask(
                "completion", principal, found, body, COMPLETION + draft[-_LONGEST_DRAFT:], chat_id
            )
        except ProviderError as error:
            raise WorkspaceError(error.status, str(error), kind=error.kind) from error
        return said.split("\n")[0].strip()

    async def stop(self) -> None:
        """Gives up what is being made."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _after(self, run: Run, asked: Asked, chat_id: str) -> None:
        settings, principal = self._settings(), asked.principal
        found = await self._resolve(principal, asked.resolved)
        body = await asked.body()
        if body.get("continue_final_message"):
            return
        is_first = sum(message["role"] == "user" for message in body["messages"]) == 1
        body["messages"] = [*body["messages"], *answered(run.message.parts)]

        async def ask(task: str, words: str) -> str:
            return await self._ask(task, principal, found, body, words, chat_id)

        if settings.title_generation and is_first:
            await self._keep_title(principal.id, chat_id, title_of(await ask("title", TITLE)))
        if settings.tags_generation and is_first:
            await self._keep_tags(principal.id, chat_id, tags_of(await ask("tags", TAGS)))
        if settings.follow_up_generation:
            questions = lines_of(await ask("follow_ups", FOLLOW_UPS))
            await self._keep_follow_ups(principal.id, chat_id, run.message.id, questions)

    async def _ask(
        self,
        task: str,
        principal: Principal,
        found: Resolved,
        body: dict[str, Any],
        words: str,
        chat_id: str | None,
    ) -> str:
        """The model's text; what it thinks is left out. Raises ProviderError."""
        asked = {
            "model": found.model.id,
            "messages": [*body["messages"], {"role": "user", "content": words}],
            "max_tokens": _MOST_TOKENS[task],
            "temperature": 0.0,
        }
        if found.is_local:
            asked["chat_template_kwargs"] = {
                **(body.get("chat_template_kwargs") or {}),
                "enable_thinking": False,
            }
        caller = Caller(principal.id, priority=LOWEST_PRIORITY, request_id=new_id())
        builder = AnswerBuilder()
        async with asyncio.timeout(_SECONDS), aclosing(found.provider.chat(asked, caller)) as chunks:
            async for chunk in chunks:
                builder.take(chunk)
        await count(
            self._db,
            user_id=principal.id,
            model=found.id,
            source="task",
            chat_id=chat_id,
            usage=builder.usage,
            timing=builder.timing(),
        )
        return "".join(part["text"] for part in builder.parts if part["type"] == "text")

    async def _resolve(self, principal: Principal, chats_own: Resolved) -> Resolved:
        """The model for tasks, where one is set and seen; or else the chat's own."""
        name = self._settings().task_model
        if not name:
            return chats_own
        try:
            return await self._providers.resolve(principal, name)
        except WorkspaceError:
            return chats_own

    async def _keep_title(self, user_id: str, chat_id: str, title: str) -> None:
        async with self._db.write() as session:
            chat = await session.get(Chat, chat_id)
            if chat is None or not title or chat.title_from != "words":
                return
            chat.title, chat.title_from = title, "model"
        self._tabs.chats_changed(user_id)

    async def _keep_tags(self, user_id: str, chat_id: str, tags: list[str]) -> None:
        async with self._db.write() as session:
            if await session.get(Chat, chat_id) is None:
                return
            for tag in tags:
                await session.merge(ChatTag(chat_id=chat_id, tag=tag, user_id=user_id))
        self._tabs.chats_changed(user_id)

    async def _keep_follow_ups(
        self, user_id: str, chat_id: str, message_id: str, questions: list[str]
    ) -> None:
        async with self._db.write() as session:
            message = await session.get(Message, message_id)
            if message is None or not questions:
                return
            message.meta = {**message.meta, "follow_ups": questions}
        event = {"type": "follow_ups", "id": chat_id, "message_id": message_id, "follow_ups": questions}
        self._tabs.publish(user_id, event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_logged(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def title_of(text: str) -> str:
    """The title in a model's answer; "" where there is none."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    line = _LABEL.sub("", line.strip().lstrip("#").strip().strip("*").strip())
    return line.strip(" \"'“”‘’「」《》*").rstrip(".。")[:LONGEST_TITLE]


def tags_of(text: str) -> list[str]:
    """The tags in a model's answer."""
    found = [_BULLET.sub("", each).strip(" #*\"'.。").lower() for each in re.split(r"[,，、;；\n]", text)]
    return list(dict.fromkeys(each for each in found if 0 < len(each) <= _LONGEST_TAG))[:_MOST_TAGS]


def lines_of(text: str) -> list[str]:
    """The questions in a model's answer, one a line."""
    found = [_BULLET.sub("", line).strip(" \"'*") for line in text.splitlines()]
    return [line for line in found if 0 < len(line) <= _LONGEST_FOLLOW_UP][:_MOST_FOLLOW_UPS]


def _text_only(message: Message) -> Message:
    parts = [part for part in message.parts if part["type"] not in ("image", "file")]
    return Message(role=message.role, parts=parts)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except (ProviderError, WorkspaceError, TimeoutError) as error:
        _log.warning("a task after an answer was given up: %s", error or "it took too long")
    except Exception:
        _log.exception("a task after an answer failed")
