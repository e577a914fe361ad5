"""Makes one answer: asks the provider, tells who watches, and writes it down."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.chats.service import Chats
from pagoda.workspace.chats.words import text_of
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.generation.hooks import AnswerContext, Hooks
from pagoda.workspace.generation.limits import TimeLimitError, time_limit
from pagoda.workspace.generation.run import Run, shown
from pagoda.workspace.generation.saving import Saver
from pagoda.workspace.generation.usage import count
from pagoda.workspace.providers.base import Caller, ProviderError
from pagoda.workspace.providers.registry import Providers, Resolved
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.database import Database

LIVE_SECONDS = 0.1  #: between two events that tell how far an answer is

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer is asked with. body: makes the request; it may take a moment to read files."""

    principal: Principal
    resolved: Resolved
    body: Callable[[], Awaitable[dict[str, Any]]]
    filter_ids: tuple[str, ...] = ()


class Answering:
    """settings: as they are at the moment. hooks: what functions take part; set once they are there."""

    def __init__(
        self,
        database: Database,
        chats: Chats,
        providers: Providers,
        settings: Callable[[], WorkspaceSettings],
    ) -> None:
        self.hooks: Hooks | None = None
        self._db = database
        self._chats = chats
        self._providers = providers
        self._settings = settings
        self._saver = Saver(database)

    async def make(self, run: Run, asked: Asked) -> None:
        """From the first to the last event of an answer. Cancelling it stops the answer."""
        if run.is_stored:
            self._saver.add(run)
        status, error = "done", None
        try:
            run.begin()
            async with time_limit(self._settings()):
                await self._answer(run, asked)
        except asyncio.CancelledError:
            status = "stopped"
        except TimeLimitError as limit:
            status, error = "stopped", {"message": str(limit), "kind": "time_limit"}
        except (ProviderError, WorkspaceError) as failure:
            status, error = "failed", _told(failure)
        except Exception:
            _log.exception("an answer failed")
            error = {"message": "The server failed on this answer; its log says why.", "kind": "failed"}
            status = "failed"
        finally:
            run.finish()
            self._saver.remove(run)
        await asyncio.shield(self._finish(run, asked, status, error))

    async def _answer(self, run: Run, asked: Asked) -> None:
        body, found, principal = await asked.body(), asked.resolved, asked.principal
        hook = None
        if self.hooks is not None:
            hook = await self.hooks.begin(AnswerContext(principal, run, found, asked.filter_ids))
        if hook is not None:
            body = await hook.inlet(body)
            if body["model"] != found.id:  # a function has chosen another one
                found = await self._providers.resolve(principal, str(body["model"]))
        caller = Caller(
            principal.id,
            request_id=run.id,
            most_tokens=self._settings().answer_tokens,
            think_tags=found.setup.think_tags,
        )
        told = 0.0
        async with aclosing(found.provider.chat({**body, "model": found.model.id}, caller)) as chunks:
            async for each in chunks:
                chunk = each if hook is None else await hook.chunk(each)
                if chunk is None or not (events := run.builder.take(chunk)):
                    continue
                if (now := time.monotonic()) - told >= LIVE_SECONDS:
                    told = now
                    events.append(run.live(found.model.context_length))
                run.tell(*events)
        if hook is not None:
            await hook.end()

    async def _finish(self, run: Run, asked: Asked, status: str, error: dict[str, Any] | None) -> None:
        """The last events come in any case, or the page would wait for ever."""
        builder, message = run.builder, run.message
        last = builder.finish()
        context_length = asked.resolved.model.context_length
        message.status, message.error = status, error
        message.usage = builder.usage
        message.timing = {
            **builder.timing(),
            "finish_reason": builder.finish_reason,
            "context_length": context_length,
        }
        _write_parts(run)
        try:
            if run.is_stored:
                await self._chats.save_answer(message)
            await count(
                self._db,
                user_id=run.user_id,
                model=message.model_id or "",
                source="page",
                chat_id=run.chat_id,
                usage=builder.usage,
                timing=message.timing,
            )
        except Exception:
            _log.exception("an answer could not be written down")
            error = {"message": "The answer could not be saved; the log says why.", "kind": "failed"}
            message.status, message.error = "failed", error
        kind = "failed" if message.status == "failed" else "done"
        event = {"type": kind, "message": shown(message), **({"error": error} if error else {})}
        run.end(*last, run.live(context_length), event)


def _write_parts(run: Run) -> None:
    # Copies, or else the database would not see that they have changed.
    run.message.parts = [dict(part) for part in run.builder.parts]
    run.message.text = text_of(run.message.parts)


def _told(failure: ProviderError | WorkspaceError) -> dict[str, Any]:
    """An error as a message keeps it."""
    told: dict[str, Any] = {"message": str(failure), "kind": failure.kind}
    if failure.code is not None:
        told |= {"code": failure.code, "values": failure.values}
    return told
