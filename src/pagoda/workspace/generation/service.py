"""Starts answers, keeps them going, writes them down, and stops them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.chats.service import Chats, text_of
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.generation.hooks import AnswerHooks
from pagoda.workspace.generation.prompt import chat_body
from pagoda.workspace.generation.run import Run, shown
from pagoda.workspace.providers.base import Caller, ProviderError
from pagoda.workspace.providers.registry import Providers
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.tables import Message, UsageEvent
from pagoda.workspace.storage.values import new_id

SAVE_SECONDS = 1.0  #: so much text is lost at most when the server is killed
KEEP_SECONDS = 60.0  #: how long an ended run can be watched from its beginning
MOST_MODELS = 8  #: side by side

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """What was made: the question, where there is a new one, and a run for each answer."""

    question: Message | None
    runs: list[Run]


class Generations:
    """All answers in the making. They belong to the server, not to the page that asked."""

    def __init__(self, database: Database, chats: Chats, providers: Providers) -> None:
        self._db = database
        self._chats = chats
        self._providers = providers
        self._runs: dict[str, Run] = {}
        self.hooks: AnswerHooks | None = None  #: plugin functions, where there are any

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
    ) -> Started:
        """Asks (`parts`), or answers the message `parent_id` again. filter_ids: of the filters with a switch,
        those that are on. Raises WorkspaceError.
        """
        if not 1 <= len(models) <= MOST_MODELS:
            raise WorkspaceError(400, f"Choose 1 to {MOST_MODELS} models.", param="models")
        for model in models:
            await self._providers.check(principal, model)
        question = None
        if parts is not None:
            question = await self._chats.add_question(principal.id, chat_id, parent_id, parts)
            parent_id = question.id
        if parent_id is None:
            raise WorkspaceError(400, "There is no message to answer.", param="parent_id")
        answers = await self._chats.add_answers(principal.id, chat_id, parent_id, models)
        branch, _, _ = await self._chats.line(principal.id, chat_id, leaf_id=answers[0].id)
        runs = []
        for answer in answers:
            run = Run(new_id(), principal.id, answer)
            self._runs[run.id] = run
            body = chat_body(answer.model_id or "", branch[:-1], params)
            run.tell({"type": "start", "message": shown(answer)})
            work = self._answer(run, principal, body, filter_ids)
            run.task = asyncio.create_task(work, name=f"answer {run.id}")
            runs.append(run)
        return Started(question, runs)

    def find(self, user_id: str, run_id: str) -> Run:
        """Raises WorkspaceError 404."""
        run = self._runs.get(run_id)
        if run is None or run.user_id != user_id:
            raise not_found("answer in the making")
        return run

    def running(self, user_id: str, chat_id: str) -> list[Run]:
        """A chat's answers that are being made now."""
        return [
            run
            for run in self._runs.values()
            if run.user_id == user_id and run.message.chat_id == chat_id and not run.ended
        ]

    def running_chats(self, user_id: str) -> set[str]:
        """Which of a user's chats have answers that are being made now."""
        return {
            run.message.chat_id for run in self._runs.values() if run.user_id == user_id and not run.ended
        }

    def stop(self, user_id: str, run_id: str) -> None:
        """Ends an answer with what it has. Raises WorkspaceError 404."""
        run = self.find(user_id, run_id)
        if run.task is not None and not run.ended:
            run.task.cancel()

    async def shutdown(self) -> None:
        """Stops everything and writes it down."""
        tasks = [run.task for run in self._runs.values() if run.task is not None and not run.ended]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(
        self, run: Run, principal: Principal, body: dict[str, Any], filter_ids: Sequence[str]
    ) -> None:
        saver = asyncio.create_task(self._save_while_it_grows(run))
        status, error = "done", None
        try:
            around = None if self.hooks is None else await self.hooks.begin(run, principal, body, filter_ids)
            ask = partial(self._ask, run, principal)
            async with aclosing(ask(body) if around is None else around.chat(body, ask)) as chunks:
                async for chunk in chunks:
                    if events := run.builder.take(chunk):
                        run.tell(*events, run.builder.live())
        except asyncio.CancelledError:
            status = "stopped"
        except ProviderError as failure:
            status, error = "failed", {"message": str(failure), "kind": failure.kind}
        except WorkspaceError as failure:
            status, error = "failed", {"message": str(failure), "kind": failure.kind}
        except Exception:
            _log.exception("an answer failed")
            status, error = "failed", {"message": "The server failed on this answer; its log says why."}
        finally:
            saver.cancel()
        await asyncio.shield(self._finish(run, principal, status, error))

    async def _ask(
        self, run: Run, principal: Principal, body: dict[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks of the model that `body` names. Raises ProviderError, WorkspaceError."""
        found = await self._providers.resolve(principal, body["model"])
        caller = Caller(principal.id, cache_salt="", request_id=run.id)
        async with aclosing(found.provider.chat({**body, "model": found.model.id}, caller)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _finish(
        self, run: Run, principal: Principal, status: str, error: dict[str, Any] | None
    ) -> None:
        builder, message = run.builder, run.message
        last = builder.finish()
        message.status, message.error = status, error
        message.usage, message.timing = builder.usage, builder.timing()
        message.timing["finish_reason"] = builder.finish_reason
        self._write_parts(run)
        await self._chats.save_answer(message)
        await self._count(principal, message)
        kind = "failed" if status == "failed" else "done"
        run.end(*last, {"type": kind, "message": shown(message), **({"error": error} if error else {})})
        asyncio.get_running_loop().call_later(KEEP_SECONDS, self._runs.pop, run.id, None)

    async def _count(self, principal: Principal, message: Message) -> None:
        usage, timing = message.usage, message.timing or {}
        if not usage:
            return
        first = timing.get("time_to_first_token")
        details = usage.get("completion_tokens_details") or {}
        event = UsageEvent(
            user_id=principal.id,
            model_id=message.model_id or "",
            source="page",
            chat_id=message.chat_id,
            prompt_tokens=usage.get("prompt_tokens") or 0,
            cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0,
            completion_tokens=usage.get("completion_tokens") or 0,
            reasoning_tokens=details.get("reasoning_tokens") or 0,
            ttft_ms=None if first is None else int(first * 1000),
            duration_ms=int(timing["seconds"] * 1000),
        )
        async with self._db.write() as session:
            session.add(event)

    async def _save_while_it_grows(self, run: Run) -> None:
        known = 0
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            size = sum(len(part.get("text") or part.get("arguments") or "") for part in run.builder.parts)
            if size != known:
                known = size
                self._write_parts(run)
                await self._chats.save_answer(run.message)

    @staticmethod
    def _write_parts(run: Run) -> None:
        # Copies, or else the database would not see that they have changed.
        run.message.parts = [dict(part) for part in run.builder.parts]
        run.message.text = text_of(run.message.parts)
