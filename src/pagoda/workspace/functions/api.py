"""Filters around chats of programs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.functions.context import CallContext
from pagoda.workspace.functions.host import FunctionHost
from pagoda.workspace.functions.pipeline import Filters, Pipeline
from pagoda.workspace.functions.requested import metadata_of, model_of, user_of
from pagoda.workspace.models.setup import Setup
from pagoda.workspace.providers.registry import Providers

ByKey = Callable[[str], Awaitable[Principal | None]]


class ApiFunctions:
    """by_key: whose personal key it is; requests with another key are nobody's."""

    def __init__(self, host: FunctionHost, providers: Providers, by_key: ByKey) -> None:
        self._host = host
        self._providers = providers
        self._by_key = by_key

    async def begin(self, key: str, model: str) -> FilteredChat | None:
        """None where no filter is active for this request."""
        if not await self._host.active("filter"):
            return None
        principal = (await self._by_key(key) if key else None) or _nobody()
        setup = Setup()
        if principal.id:
            try:
                setup = (await self._providers.resolve(principal, model)).setup
            except WorkspaceError:
                setup = Setup()  # a name that the API knows and the page does not
        about = model_of(model, model, setup)
        context = CallContext(
            user=user_of(principal),
            model=about,
            metadata=metadata_of(principal, about, setup.default_filter_ids),
            live=False,
            filter_ids=setup.default_filter_ids,
        )
        filters = await Pipeline(self._host).begin(context)
        return None if filters is None else FilteredChat(filters)


class FilteredChat:
    """One chat over HTTP with filters around it."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._body: dict[str, Any] = {}

    async def inlet(self, body: dict[str, Any]) -> dict[str, Any]:
        """Raises ProviderError."""
        self._body = await self._filters.inlet(body)
        return self._body

    async def chunk(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        return await self._filters.chunk(chunk) if self._filters.streams else chunk

    async def end(self, texts: list[str]) -> list[str]:
        """The texts as the filters leave them."""
        if not self._filters.finishes:
            return texts
        return [await self._outlet(text) for text in texts]

    async def _outlet(self, text: str) -> str:
        asked = [{"id": str(index), **each} for index, each in enumerate(self._body.get("messages") or [])]
        answer = {"id": "answer", "role": "assistant", "content": text}
        ids: dict[str, Any] = {"chat_id": "", "session_id": None, "id": None, "filter_ids": []}
        changed = await self._filters.outlet(
            {"model": self._body.get("model"), "messages": [*asked, answer], **ids}
        )
        for each in changed["messages"]:
            if isinstance(each, dict) and each.get("id") == "answer" and isinstance(each.get("content"), str):
                return str(each["content"])
        return text


def _nobody() -> Principal:
    return Principal(id="", email="", name="", role="user", settings={}, groups=frozenset(), permissions={})
