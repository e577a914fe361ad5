"""The buttons under answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.chats.service import Chats
from pagoda.workspace.chats.words import text_of
from pagoda.workspace.errors import WorkspaceError, not_found
from pagoda.workspace.functions.context import CallContext, Tabs
from pagoda.workspace.functions.host import FunctionHost
from pagoda.workspace.functions.message_events import MessageEvents, embed_of, set_text
from pagoda.workspace.functions.requested import metadata_of, model_of, user_of
from pagoda.workspace.functions.service import buttons_of
from pagoda.workspace.functions.work import PluginError
from pagoda.workspace.generation.builder import Event
from pagoda.workspace.generation.run import Run, shown
from pagoda.workspace.providers.registry import Providers
from pagoda.workspace.storage.tables import Message


class Actions:
    """Runs actions on messages of their owner's."""

    def __init__(
        self,
        host: FunctionHost,
        chats: Chats,
        providers: Providers,
        tabs: Tabs,
        *,
        execute: Callable[[], bool] = bool,
    ) -> None:
        self._host = host
        self._chats = chats
        self._providers = providers
        self._tabs = tabs
        self._execute = execute

    async def run(self, principal: Principal, chat_id: str, message_id: str, action: str) -> dict[str, Any]:
        """Presses a button; gives {"message"} as it is then. Raises WorkspaceError."""
        line, _, _ = await self._chats.line(principal.id, chat_id, leaf_id=message_id)
        place = next((index for index, each in enumerate(line) if each.id == message_id), None)
        if place is None or line[place].role != "assistant":
            raise not_found("answer")
        message = line[place]
        found = await self._providers.resolve(principal, message.model_id or "")
        function = next(
            (
                each
                for each in await self._host.active("action")
                if (each.is_global or each.id in found.setup.action_ids)
                and any(button["id"] == action for button in buttons_of(each))
            ),
            None,
        )
        if function is None:
            raise not_found("action")
        run = ActionRun(message, principal.id, chat_id, self._tabs)
        before = message.parts
        run.builder.parts = [dict(part) for part in before]
        model = model_of(found.id, found.model.name, found.setup)
        events = MessageEvents(run, self._tabs, execute=self._execute)
        context = CallContext(
            user=user_of(principal),
            model=model,
            metadata=metadata_of(principal, model, ()) | {"chat_id": chat_id, "message_id": message_id},
            chat_id=chat_id,
            message_id=message_id,
            session_id=principal.session_id or message_id,
            emit=events.take,
        )
        body = {
            "model": found.id,
            "messages": [_as_sent(each) for each in line[: place + 1]],
            "chat_id": chat_id,
            "session_id": context.session_id,
            "id": message_id,
        }
        sub = action.partition(".")[2] or function.id
        try:
            answer = await self._host.run(function, "action", body, context, __id__=sub)
        except PluginError as error:
            status = 400 if error.kind == "error" else 500
            raise WorkspaceError(status, str(error), kind="function") from error
        if isinstance(answer, dict):
            _take(run, message_id, answer)
        if run.builder.parts == before:  # the function may have changed the chat itself
            line, _, _ = await self._chats.line(principal.id, chat_id, leaf_id=message_id)
            message = next((each for each in line if each.id == message_id), message)
        else:
            message.parts = [dict(part) for part in run.builder.parts]
            message.text = text_of(message.parts)
            await self._chats.save_answer(message)
        run.end({"type": "done", "message": shown(message)})
        return {"message": shown(message)}


class ActionRun(Run):
    """A change of an answer that was whole already. Nobody watches it; who has the chat open is told."""

    def __init__(self, message: Message, user_id: str, chat_id: str, tabs: Tabs) -> None:
        super().__init__(message.id, user_id, message)
        self._chat_id = chat_id
        self._tabs = tabs

    def tell(self, *events: Event) -> None:
        for event in events:
            told = {"type": "answer", "id": self._chat_id, "message_id": self.message.id, "event": event}
            self._tabs.publish(self.user_id, told)


def _take(run: Run, message_id: str, answer: dict[str, Any]) -> None:
    if isinstance(page := answer.get("embed"), str):
        run.builder.parts.append(embed_of(page))
    messages = answer.get("messages")
    for each in messages if isinstance(messages, list) else []:
        if isinstance(each, dict) and each.get("id") == message_id and isinstance(each.get("content"), str):
            set_text(run, each["content"])


def _as_sent(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "role": message.role,
        "content": text_of(message.parts),
        "timestamp": message.created_at // 1000,
        "model": message.model_id,
    }
