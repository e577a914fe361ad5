"""Requests of programs: filters around them, and the workspace's own models for personal keys."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.functions.context import CURRENT, CallContext
from pagoda.workspace.functions.host import FunctionHost
from pagoda.workspace.functions.pipeline import Filters, Pipeline
from pagoda.workspace.functions.requested import metadata_of, model_of, user_of
from pagoda.workspace.models.setup import Setup
from pagoda.workspace.providers.base import Caller, ProviderError
from pagoda.workspace.providers.local import LocalProvider
from pagoda.workspace.providers.registry import Providers, Resolved

ByKey = Callable[[str], Awaitable[Principal | None]]


class ApiFunctions:
    """by_key: whose personal key it is; requests with another key are nobody's, and for them there are the
    server's own models alone.
    """

    def __init__(self, host: FunctionHost, providers: Providers, by_key: ByKey) -> None:
        self._host = host
        self._providers = providers
        self._by_key = by_key

    async def begin(self, key: str, model: str, *, served: bool) -> HookedRequest | None:
        """served: the server has a model of that name. None where it has, and no filter is active."""
        if served and not await self._host.active("filter"):
            return None
        principal = (await self._by_key(key) if key else None) or _nobody()
        found = await self._resolved(principal, model)
        if found is None and not served:
            return None  # nobody knows it
        setup = Setup() if found is None else found.setup
        name = model if found is None or served else found.model.name
        about = model_of(model, name, setup)
        context = CallContext(
            user=user_of(principal),
            model=about,
            metadata=metadata_of(principal, about, setup.default_filter_ids),
            live=False,
            filter_ids=setup.default_filter_ids,
        )
        filters = await Pipeline(self._host).begin(context)
        if filters is None and served:
            return None
        return HookedRequest(self._providers, principal, context, filters, None if served else found)

    async def models(self, key: str) -> Sequence[dict[str, Any]]:
        """What the key's owner sees: pipes, presets, models of connections, and the server's own too."""
        principal = await self._by_key(key) if key else None
        if principal is None:
            return []
        listed = await self._providers.models(principal)
        return [
            {"id": each["id"], "base": each["base_id"], "context_length": each["context_length"]}
            for each in listed["models"]
        ]

    async def _resolved(self, principal: Principal, model: str) -> Resolved | None:
        """None for a name that the page does not know, and for nobody."""
        if not principal.id:
            return None
        try:
            return await self._providers.resolve(principal, model)
        except WorkspaceError:
            return None


class HookedRequest:
    """One chat over HTTP.

    filters: None where none is active. found: the workspace's model that was asked for; None where
    it is one of the server's.
    """

    def __init__(
        self,
        providers: Providers,
        principal: Principal,
        context: CallContext,
        filters: Filters | None,
        found: Resolved | None,
    ) -> None:
        self._providers = providers
        self._principal = principal
        self._context = context
        self._filters = filters
        self._found = found
        self._body: dict[str, Any] = {}

    async def inlet(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request as it is to be answered: with what is set about its model, and as filters leave it. A
        model made of one of the server's is asked for by that one's name. Raises ProviderError.
        """
        if self._found is not None:
            body = set_up(body, self._found.setup)
        if self._filters is not None:
            body = await self._filters.inlet(body)
        self._body = body
        found = self._found
        if found is not None and body["model"] == found.id and isinstance(found.provider, LocalProvider):
            return {**body, "model": found.model.id}
        return body

    async def chunk(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        filters = self._filters
        return await filters.chunk(chunk) if filters is not None and filters.streams else chunk

    async def end(self, texts: list[str]) -> list[str]:
        """The texts as the filters leave them."""
        if self._filters is None or not self._filters.finishes:
            return texts
        return [await self._outlet(self._filters, text) for text in texts]

    async def answer(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """By whoever answers for its model. Raises ProviderError."""
        found = self._found
        if found is None or body["model"] != found.id:  # a filter has chosen another one
            try:
                found = await self._providers.resolve(self._principal, str(body["model"]))
            except WorkspaceError as error:
                message = f"The model `{body['model']}` does not exist."
                raise ProviderError(message, 404, "refused") from error
        CURRENT.set(replace(self._context, model=model_of(found.id, found.model.name, found.setup)))
        caller = Caller(self._principal.id, think_tags=found.setup.think_tags)
        async with aclosing(found.provider.chat({**body, "model": found.model.id}, caller)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _outlet(self, filters: Filters, text: str) -> str:
        asked = [{"id": str(index), **each} for index, each in enumerate(self._body.get("messages") or [])]
        answer = {"id": "answer", "role": "assistant", "content": text}
        ids: dict[str, Any] = {"chat_id": "", "session_id": None, "id": None, "filter_ids": []}
        changed = await filters.outlet(
            {"model": self._body.get("model"), "messages": [*asked, answer], **ids}
        )
        for each in changed["messages"]:
            if isinstance(each, dict) and each.get("id") == "answer" and isinstance(each.get("content"), str):
                return str(each["content"])
        return text


def set_up(body: dict[str, Any], setup: Setup) -> dict[str, Any]:
    """A request with the parameters and the system prompt of its model; what the request says goes before the
    parameters, and after the prompt.
    """
    wanted = setup.merged({})
    system = wanted.pop("system", "")
    template = {**wanted.pop("chat_template_kwargs", {}), **(body.get("chat_template_kwargs") or {})}
    given = {name: value for name, value in body.items() if value is not None}
    if "max_completion_tokens" in given:
        wanted.pop("max_tokens", None)
    found = {**wanted, **given, **({"chat_template_kwargs": template} if template else {})}
    if system:
        found["messages"] = _with_system(list(body.get("messages") or []), system)
    return found


def _with_system(messages: list[Any], system: str) -> list[Any]:
    first = messages[0] if messages and isinstance(messages[0], dict) else {}
    if first.get("role") in ("system", "developer") and isinstance(first.get("content"), str):
        return [{**first, "content": f"{system}\n\n{first['content']}"}, *messages[1:]]
    return [{"role": "system", "content": system}, *messages]


def _nobody() -> Principal:
    return Principal(id="", email="", name="", role="user", settings={}, groups=frozenset(), permissions={})
