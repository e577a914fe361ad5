"""Filters around a request: before the model, at every chunk, and after the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pagoda.workspace.functions.context import CallContext
from pagoda.workspace.functions.host import FunctionHost
from pagoda.workspace.functions.requested import asked_in
from pagoda.workspace.functions.store import Installed
from pagoda.workspace.functions.work import PluginError
from pagoda.workspace.providers.base import ProviderError

#: what requests carry for filters and pipes; models do not know it
FOR_FUNCTIONS = (
    "metadata",
    "features",
    "files",
    "chat_id",
    "session_id",
    "id",
    "filter_ids",
    "tool_ids",
    "variables",
)


class Pipeline:
    """One pipeline for the page and for programs."""

    def __init__(self, host: FunctionHost) -> None:
        self._host = host

    async def begin(self, context: CallContext) -> Filters | None:
        """None where no filter is active for this request: nothing of it goes anywhere."""
        meta = (context.model.get("info") or {}).get("meta") or {}
        found = await self._host.filters(meta, context.filter_ids)
        return Filters(self._host, found, context) if found else None


class Filters:
    """The filters of one request, in order: the same for inlet, stream and outlet."""

    def __init__(self, host: FunctionHost, filters: Sequence[Installed], context: CallContext) -> None:
        self._host = host
        self._context = context
        self._inlets = [each for each in filters if each.has("inlet")]
        self._outlets = [each for each in filters if each.has("outlet")]
        self._streams = [each for each in filters if each.has("stream")]
        self._body: dict[str, Any] = {}

    @property
    def streams(self) -> bool:
        """Whether chunks have to pass `chunk`."""
        return bool(self._streams)

    @property
    def finishes(self) -> bool:
        """Whether `outlet` is to be called."""
        return bool(self._outlets)

    async def inlet(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request as the model gets it. A filter refuses by raising: that is a ProviderError with its
        text, and so is one that does not work.
        """
        context = self._context
        context.metadata.update(asked_in(body))
        extra = {
            "metadata": dict(context.metadata),
            "features": dict(context.metadata.get("features") or {}),
            "files": list(context.metadata.get("files") or []),
            "chat_id": context.chat_id,
            "session_id": context.session_id,
            "id": context.message_id,
            "filter_ids": list(context.filter_ids),
        }
        changed = {"stream": True, **body, **extra}
        for function in self._inlets:
            changed = await self._inlet(function, changed)
        self._body = changed
        return {name: value for name, value in changed.items() if name not in FOR_FUNCTIONS}

    async def _inlet(self, function: Installed, body: dict[str, Any]) -> dict[str, Any]:
        try:
            found = await self._host.run(function, "inlet", body, self._context)
            if not isinstance(found, dict) or not isinstance(found.get("messages"), list):
                raise nonsense(function, "inlet", found)
        except PluginError as error:
            if error.kind == "nonsense":
                await self._host.note(function, "inlet", error)
            if error.kind == "error":
                raise ProviderError(str(error), 400, "refused") from error
            raise ProviderError(f"The function “{function.name}” failed: {error}", 500) from error
        if function.info.get("file_handler"):
            found["files"] = []
            if isinstance(found.get("metadata"), dict):
                found["metadata"]["files"] = []
        return found

    async def chunk(self, chunk: dict[str, Any]) -> dict[str, Any] | None:
        """A chunk as it goes on; None for one that a filter drops. One that fails leaves it as it is, and
        sees no more of this answer.
        """
        for function in list(self._streams):
            try:
                found = await self._host.run(function, "stream", chunk, self._context, __body__=self._body)
                if not found:
                    return None
                if not isinstance(found, dict):
                    raise nonsense(function, "stream", found)
                chunk = found
            except PluginError as error:
                if error.kind == "nonsense":
                    await self._host.note(function, "stream", error)
                self._streams.remove(function)
        return chunk

    async def outlet(self, body: dict[str, Any]) -> dict[str, Any]:
        """The conversation with its answer, `{model, messages: [{id, role, content, ...}], ...}`. A filter
        that fails is noted and changes nothing.
        """
        for function in self._outlets:
            try:
                found = await self._host.run(function, "outlet", body, self._context)
                if found is None:  # changed in place, as far as the function knows: there is nothing to take
                    continue
                if not isinstance(found, dict) or not isinstance(found.get("messages"), list):
                    raise nonsense(function, "outlet", found)
                body = found
            except PluginError as error:
                if error.kind == "nonsense":
                    await self._host.note(function, "outlet", error)
        return body


def nonsense(function: Installed, hook: str, found: Any) -> PluginError:
    """For an answer that is not what the contract says."""
    shape = type(found).__name__
    told = f"{hook} has to return the body, and returned {shape}"
    return PluginError(function.id, "nonsense", told + ".")
