"""Starts answers, keeps them going, and stops them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.chats.service import Chats, side_by_side
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.files.attachments import sees
from pagoda.workspace.generation.answering import Answering, Asked
from pagoda.workspace.generation.limits import Room
from pagoda.workspace.generation.prompt import Attachments, chat_body, chat_messages
from pagoda.workspace.generation.run import Run, shown
from pagoda.workspace.generation.tabs import Tabs
from pagoda.workspace.providers.registry import Providers, Resolved
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Message
from pagoda.workspace.storage.values import new_id

KEEP_SECONDS = 60.0  #: how long an ended run can be watched from its beginning
MOST_KEPT = 1000  #: ended runs; beyond them the oldest go earlier
MOST_MODELS = 8  #: side by side

#: told when an answer has ended and is written down
Ended = Callable[[Run, Asked], None]


@dataclass(frozen=True, slots=True)
class Started:
    """What was made: the question, where there is a new one, and a run for each answer."""

    question: Message | None
    runs: list[Run]


class Generations:
    """All answers in the making. They belong to the server, not to the page that asked.

    settings: as they are at the moment. attachments: what files become for a model; None while there are
    none. ended: told of every answer.
    """

    def __init__(
        self,
        database: Database,
        chats: Chats,
        providers: Providers,
        tabs: Tabs,
        settings: Callable[[], WorkspaceSettings],
    ) -> None:
        self.answering = Answering(database, chats, providers, settings)
        self.attachments: Attachments | None = None
        self.ended: Ended | None = None
        self._chats = chats
        self._providers = providers
        self._tabs = tabs
        self._room = Room(settings)
        self._runs: dict[str, Run] = {}
        self._kept: list[str] = []

    async def start(
        self,
        principal: Principal,
        chat_id: str,
        *,
        parent_id: str | None,
        parts: list[dict[str, Any]] | None,
        models: Sequence[str],
        params: Mapping[str, Any],
        filter_ids: Sequence[str] = (),
        version_of: str | None = None,
    ) -> Started:
        """Asks (`parts`), or answers the message `parent_id` again; `version_of`: in the place of this one of
        several answers side by side. Raises WorkspaceError.
        """
        resolved = await self._resolve(principal, models, params)
        with self._room_for(principal, len(models)):
            question = None
            if parts is not None:
                parts = await self._checked(principal, parts, resolved)
                question = await self._chats.add_question(principal.id, chat_id, parent_id, parts)
                parent_id = question.id
            if parent_id is None:
                raise WorkspaceError(400, "There is no message to answer.", param="parent_id")
            answers = await self._chats.add_answers(
                principal.id, chat_id, parent_id, models, version_of=version_of
            )
            branch, _, _ = await self._chats.line(principal.id, chat_id, leaf_id=answers[0].id)
            runs = []
            for answer, found in zip(answers, resolved, strict=True):
                run = Run(new_id(), principal.id, answer)
                runs.append(self._begin(run, principal, found, branch[:-1], params, filter_ids))
        return Started(question, runs)

    async def go_on(
        self,
        principal: Principal,
        chat_id: str,
        message_id: str,
        *,
        params: Mapping[str, Any],
        filter_ids: Sequence[str] = (),
    ) -> Run:
        """Goes on writing an answer that ended early, in its own message. Raises WorkspaceError."""
        branch, _, _ = await self._chats.line(principal.id, chat_id, leaf_id=message_id)
        place = next(i for i, each in enumerate(branch) if each.id == message_id)
        branch, message = branch[: place + 1], branch[place]
        if message.role != "assistant" or not message.parts or message.parts[-1]["type"] != "text":
            raise WorkspaceError(
                400,
                "Only an answer that has begun to speak can go on; answer again.",
                param="continue_id",
                code="cannot_go_on",
            )
        if any(run.message.id == message_id for run in self.running(principal.id, chat_id)):
            raise WorkspaceError(
                409, "This answer is being written now.", kind="conflict", code="being_written"
            )
        [found] = await self._resolve(principal, [message.model_id or ""], params)
        with self._room_for(principal, 1):
            message.status, message.error = "streaming", None
            await self._chats.save_answer(message)
            run = Run(new_id(), principal.id, message)
            run.builder.go_on(message.parts)
            return self._begin(run, principal, found, branch, params, filter_ids, goes_on=True)

    async def start_temporary(
        self,
        principal: Principal,
        *,
        messages: Sequence[Mapping[str, Any]],
        models: Sequence[str],
        params: Mapping[str, Any],
        filter_ids: Sequence[str] = (),
    ) -> list[Run]:
        """Answers messages ({role, parts}) of which nothing is kept. Raises WorkspaceError."""
        if not principal.may("chat.temporary"):
            raise WorkspaceError(403, "Your account may not have temporary chats.", kind="permission")
        if not messages or messages[-1]["role"] != "user":
            raise WorkspaceError(400, "The last message has to be a question.", param="messages")
        resolved = await self._resolve(principal, models, params)
        with self._room_for(principal, len(models)):
            branch = [
                Message(
                    role=each["role"], parts=await self._checked(principal, list(each["parts"]), resolved)
                )
                for each in messages
            ]
            runs = []
            places = side_by_side(len(models))
            for model, found, meta in zip(models, resolved, places, strict=True):
                answer = Message(
                    id=new_id(),
                    role="assistant",
                    model_id=model,
                    status="streaming",
                    parts=[],
                    text="",
                    meta=meta,
                )
                run = Run(new_id(), principal.id, answer, is_stored=False)
                runs.append(self._begin(run, principal, found, branch, params, filter_ids))
        return runs

    def find(self, user_id: str, run_id: str) -> Run:
        """Raises WorkspaceError 404."""
        run = self._runs.get(run_id)
        if run is None or run.user_id != user_id:
            raise not_found("answer in the making")
        return run

    def running(self, user_id: str, chat_id: str | None = None) -> list[Run]:
        """Answers that are being made now, of a user or of one chat."""
        return [
            run
            for run in self._runs.values()
            if run.user_id == user_id and not run.ended and (chat_id is None or run.chat_id == chat_id)
        ]

    def everyones(self) -> list[Run]:
        """All answers in the making, and those that have ended a moment ago."""
        return list(self._runs.values())

    def running_chats(self, user_id: str) -> set[str]:
        """The chats in which something is being answered now."""
        return {run.chat_id for run in self.running(user_id) if run.chat_id is not None}

    def stop(self, user_id: str, run_id: str) -> None:
        """Ends an answer with what it has. Raises WorkspaceError 404."""
        self.find(user_id, run_id).stop()

    async def stop_chat(self, user_id: str, chat_id: str) -> None:
        """Ends everything that is being answered in a chat, and waits for it."""
        await self._stop(self.running(user_id, chat_id))

    async def stop_user(self, user_id: str) -> None:
        """Ends everything that is being answered for somebody, and waits for it."""
        await self._stop(self.running(user_id))

    async def shutdown(self) -> None:
        """Stops everything and writes it down."""
        await self._stop([run for run in self._runs.values() if not run.ended])

    def _room_for(self, principal: Principal, asked: int) -> AbstractContextManager[None]:
        return self._room.taken(principal.id, len(self.running(principal.id)), asked)

    async def _resolve(
        self, principal: Principal, models: Sequence[str], params: Mapping[str, Any]
    ) -> list[Resolved]:
        """Who answers. Raises WorkspaceError for what may not be asked."""
        if not 1 <= len(models) <= MOST_MODELS:
            raise WorkspaceError(
                400,
                f"Choose 1 to {MOST_MODELS} models.",
                param="models",
                code="most_models",
                values={"count": MOST_MODELS},
            )
        if len(models) > 1 and not principal.may("chat.several_models"):
            raise WorkspaceError(403, "Your account may ask one model at a time.", kind="permission")
        if params and not principal.may("chat.params"):
            raise WorkspaceError(403, "Your account may not set parameters.", kind="permission")
        return [await self._providers.resolve(principal, model) for model in models]

    async def _checked(
        self, principal: Principal, parts: list[dict[str, Any]], models: Sequence[Resolved]
    ) -> list[dict[str, Any]]:
        if all(part["type"] == "text" for part in parts):
            return parts
        if self.attachments is None:
            raise WorkspaceError(400, "This server takes no attachments.", param="parts")
        return await self.attachments.checked(principal, parts, models)

    def _begin(
        self,
        run: Run,
        principal: Principal,
        found: Resolved,
        branch: Sequence[Message],
        params: Mapping[str, Any],
        filter_ids: Sequence[str],
        *,
        goes_on: bool = False,
    ) -> Run:
        self._runs[run.id] = run
        run.tell({"type": "start", "message": shown(run.message)})
        made = self._make(run, principal, found, branch, params, tuple(filter_ids), goes_on)
        run.task = asyncio.create_task(made, name=f"answer {run.id}")
        self._announce(run)
        return run

    async def _make(
        self,
        run: Run,
        principal: Principal,
        found: Resolved,
        branch: Sequence[Message],
        params: Mapping[str, Any],
        filter_ids: tuple[str, ...],
        goes_on: bool,
    ) -> None:
        merged = found.setup.merged(params)

        async def body() -> dict[str, Any]:
            system = merged.get("system", "")
            messages = await chat_messages(branch, system, principal.id, self.attachments, vision=sees(found))
            asked_for = chat_body(found.id, messages, merged)
            if goes_on and found.is_local:
                asked_for |= {"continue_final_message": True, "add_generation_prompt": False}
            return asked_for

        asked = Asked(principal, found, body, filter_ids)
        await self.answering.make(run, asked)
        self._kept.append(run.id)
        asyncio.get_running_loop().call_later(KEEP_SECONDS, self._runs.pop, run.id, None)
        if len(self._kept) > MOST_KEPT:
            self._runs.pop(self._kept.pop(0), None)
        self._announce(run)
        if self.ended is not None:
            self.ended(run, asked)

    def _announce(self, run: Run) -> None:
        """Tells the user's other tabs."""
        if run.chat_id is not None:
            event = {
                "type": "chat",
                "id": run.chat_id,
                "message_id": run.message.id,
                "running": not run.ended,
            }
            self._tabs.publish(run.user_id, event)

    @staticmethod
    async def _stop(runs: Sequence[Run]) -> None:
        for run in runs:
            run.stop()
        tasks = [run.task for run in runs if run.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
