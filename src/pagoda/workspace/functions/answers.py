"""What functions may ask of the server, always in the name of the user whose request they serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pagoda.workspace.functions.context import CallContext, Tabs, TokenCounter
from pagoda.workspace.functions.tokens import ByteTokens
from pagoda.workspace.functions.work import Answerer

_CALLS = ("confirmation", "input", "execute")
Question = Callable[[CallContext, Mapping[str, Any]], Awaitable[Any]]


class HouseAnswers:
    """tokens: of the models that are served; None where there are none. execute: whether functions may run
    scripts in the page. more: further questions by name, such as those about users and chats.
    """

    def __init__(
        self,
        tabs: Tabs,
        tokens: TokenCounter | None = None,
        more: Mapping[str, Question] | None = None,
        *,
        execute: Callable[[], bool] = bool,
    ) -> None:
        self._tabs = tabs
        self._tokens: TokenCounter = tokens or ByteTokens()
        self._exact = tokens is not None
        self._execute = execute
        self._questions: dict[str, Question] = {
            "event_call": self._event_call,
            "tokenizer.encode": self._encode,
            "tokenizer.decode": self._decode,
            "tokenizer.size": self._size,
            **(more or {}),
        }

    def answerer(self, context: CallContext) -> Answerer:
        """Answers in the name of a context. It raises LookupError for what is no question."""

        async def answer(what: str, arguments: dict[str, Any]) -> Any:
            question = self._questions.get(what)
            if question is None:
                raise LookupError(f"{what} is not known here")
            return await question(context, arguments)

        return answer

    async def _event_call(self, context: CallContext, arguments: Mapping[str, Any]) -> Any:
        event = arguments.get("event")
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(event, dict) or kind not in _CALLS:
            return {"error": f"{kind} is not something that a page can be asked."}
        if kind == "execute" and not self._execute():
            return {"error": "execute is disabled"}
        if not context.live:
            return {"error": "Client session disconnected."}
        data = event.get("data")
        return await self._tabs.call(str(context.user["id"]), kind, data if isinstance(data, dict) else {})

    async def _encode(self, _context: CallContext, arguments: Mapping[str, Any]) -> list[list[int]]:
        texts: list[str] = arguments["texts"]
        if not self._exact:
            logging.getLogger("pagoda.functions").warning(
                "a function counts tokens, and no model here has a tokenizer: four bytes are taken as one"
            )
        return await asyncio.to_thread(
            lambda: [self._tokens.encode(arguments.get("model"), text) for text in texts]
        )

    async def _decode(self, _context: CallContext, arguments: Mapping[str, Any]) -> str:
        return await asyncio.to_thread(self._tokens.decode, arguments.get("model"), arguments["tokens"])

    async def _size(self, _context: CallContext, arguments: Mapping[str, Any]) -> int:
        return self._tokens.size(arguments.get("model"))
