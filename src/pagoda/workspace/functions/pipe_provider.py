"""Pipes as a source of models."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from pagoda.workspace.functions.context import CURRENT, CallContext
from pagoda.workspace.functions.host import FunctionHost
from pagoda.workspace.functions.pipeline import FOR_FUNCTIONS
from pagoda.workspace.functions.store import Installed
from pagoda.workspace.functions.work import PluginError
from pagoda.workspace.providers.base import Caller, ProviderError, ProviderModel

LISTED_SECONDS = 60.0  #: how long what `pipes` told is believed
UserOf = Callable[[str], Awaitable[Mapping[str, Any]]]

_log = logging.getLogger("pagoda.functions")


class PipeProvider:
    """A model for each pipe, or for each of those that it lists. user_of: a user as functions know one."""

    def __init__(self, host: FunctionHost, user_of: UserOf) -> None:
        self._host = host
        self._user_of = user_of
        self._listed: dict[str, tuple[int, float, list[ProviderModel]]] = {}

    @property
    def id(self) -> str:
        return "functions"

    async def list_models(self) -> list[ProviderModel]:
        found: list[ProviderModel] = []
        for function in await self._host.active("pipe"):
            found += await self._models(function)
        return found

    async def chat(self, body: dict[str, Any], caller: Caller) -> AsyncGenerator[dict[str, Any], None]:
        """Raises ProviderError with the words of a pipe that fails."""
        model = str(body["model"])
        function = next((e for e in await self._host.active("pipe") if model.split(".")[0] == e.id), None)
        if function is None:
            raise ProviderError(f"There is no function for the model {model}.", 404, "refused")
        context = CURRENT.get()
        if context is None or context.user.get("id") != caller.user_id:
            context = CallContext(user=await self._user_of(caller.user_id), model={"id": model}, live=False)
        metadata = {name: value for name, value in context.metadata.items() if name in FOR_FUNCTIONS}
        request = {"stream": True, **metadata, **body, "metadata": dict(context.metadata)}
        try:
            async with aclosing(self._host.run_pipe(function, request, context)) as items:
                async for item in items:
                    if "event" in item:
                        context.emit(item["event"])
                    elif (chunk := chunk_of(item)) is not None:
                        yield chunk
        except PluginError as error:
            told = str(error) if error.kind == "error" else f"The function “{function.name}” failed: {error}"
            raise ProviderError(told, 502, "failed") from error
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

    async def _models(self, function: Installed) -> list[ProviderModel]:
        if not function.info.get("many"):
            return [ProviderModel(function.id, function.name)]
        updated, when, known = self._listed.get(function.id, (0, 0.0, []))
        if updated == function.updated_at and time.monotonic() - when < LISTED_SECONDS:
            return known
        context = CallContext(user={}, model={}, live=False)
        try:
            listed = await self._host.run(function, "pipes", None, context)
        except PluginError as error:
            known = [ProviderModel(function.id, function.name, state="error", error=str(error))]
        else:
            known = _listed_models(function, listed)
        self._listed[function.id] = (function.updated_at, time.monotonic(), known)
        return known


def chunk_of(item: Mapping[str, Any]) -> dict[str, Any] | None:
    """A pipe's item as a chat.completion.chunk; None for what says nothing. Raises ProviderError for an error
    that the pipe reports.
    """
    if "text" in item:
        return {"choices": [{"index": 0, "delta": {"content": item["text"]}, "finish_reason": None}]}
    found = item.get("chunk", item.get("raw"))
    if not isinstance(found, dict):
        return None
    if error := found.get("error"):
        detail = error.get("message") or error.get("detail") if isinstance(error, dict) else error
        raise ProviderError(str(detail or "The function reports an error."), 502, "failed")
    choices = []
    for choice in found.get("choices") or []:
        if isinstance(choice, dict):
            delta = choice.get("delta") or choice.get("message") or {}
            choices.append({**choice, "delta": delta if isinstance(delta, dict) else {}})
    if not choices and not found.get("usage"):
        content = found.get("content")
        return chunk_of({"text": content}) if isinstance(content, str) else None
    return {**found, "choices": choices}


def _listed_models(function: Installed, listed: Any) -> list[ProviderModel]:
    if not isinstance(listed, list):
        _log.warning("function %s: pipes has to give a list", function.id)
        return [ProviderModel(function.id, function.name, state="error", error="pipes gives no list")]
    prefix = str(function.info.get("prefix") or "")
    return [
        ProviderModel(f"{function.id}.{each['id']}", prefix + str(each.get("name") or each["id"]))
        for each in listed
        if isinstance(each, dict) and each.get("id")
    ]
