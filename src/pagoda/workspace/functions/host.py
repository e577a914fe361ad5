"""Runs saved functions in the plugin process: which of them a request meets, and what a failure means."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from pagoda.workspace.functions.context import CallContext
from pagoda.workspace.functions.messages import Limits
from pagoda.workspace.functions.process import PluginProcess
from pagoda.workspace.functions.store import FunctionStore, Installed
from pagoda.workspace.functions.work import Answerer, Code, PluginError
from pagoda.workspace.storage.sealing import SealingError

_log = logging.getLogger("pagoda.functions")
#: failures that are the function's fault; "error" in inlet is how it refuses, "gone" is the user's doing
_FAULTS = frozenset(("load", "memory", "time", "died", "nonsense"))


class Answers(Protocol):
    """What functions may ask, for a context."""

    def answerer(self, context: CallContext) -> Answerer: ...


class FunctionHost:
    """safe_mode: no function runs, whatever is saved."""

    def __init__(
        self,
        store: FunctionStore,
        folder: Path,
        version: str,
        answers: Answers,
        *,
        safe_mode: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self.store = store
        self.safe_mode = safe_mode
        self.packages = folder / "packages"
        self.process = PluginProcess(folder / "run", self.packages, version, limits)
        self._answers = answers

    async def active(self, kind: str) -> list[Installed]:
        """Active functions of a type, in the order in which they run."""
        if self.safe_mode:
            return []
        return [each for each in (await self.store.all()).values() if each.active and each.type == kind]

    async def filters(self, meta: Mapping[str, Any], filter_ids: Collection[str]) -> list[Installed]:
        """Those that a request meets: global ones and the model's; of those with a switch, the ones that are
        on.
        """
        named = meta.get("filter_ids") or ()
        return [
            each
            for each in await self.active("filter")
            if (each.is_global or each.id in named) and (not each.info.get("toggle") or each.id in filter_ids)
        ]

    async def describe(self, code: Code, valves: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Loads a text and tells what it is. Raises PluginError."""
        given = None if valves is None else dict(valves)
        found: dict[str, Any] = await self.process.call(code, "describe", valves=given)
        return found

    async def run(
        self, function: Installed, hook: str, body: Any, context: CallContext, **arguments: Any
    ) -> Any:
        """One handler. Raises PluginError; what is the function's fault is noted on its row."""
        fields = await self._fields(function, body, context, arguments)
        try:
            return await self.process.call(function.code, hook, **fields)
        except PluginError as error:
            await self.note(function, hook, error)
            raise

    async def run_pipe(
        self, function: Installed, body: dict[str, Any], context: CallContext
    ) -> AsyncGenerator[dict[str, Any], None]:
        """A pipe's items, as `plugin_process.pipes` makes them. Raises PluginError."""
        fields = await self._fields(function, body, context, {})
        items = self.process.items(function.code, **fields)
        try:
            async for item in items:
                yield item
        except PluginError as error:
            await self.note(function, "pipe", error)
            raise
        finally:
            await items.aclose()

    async def note(self, function: Installed, hook: str, error: PluginError) -> None:
        """Names it in the log and on its row; a function that does not load is switched off."""
        where = f" (line {error.line})" if error.line else ""
        _log.warning("function %s: %s: %s%s", function.id, hook, error, where)
        if error.kind not in _FAULTS and (error.kind != "error" or hook == "inlet"):
            return
        told = f"{hook}: {error}{where}"
        known = (await self.store.all()).get(function.id)
        if known is None or (known.error == told and error.kind != "load"):
            return
        changes: dict[str, Any] = {"error": told}
        if error.kind == "load":
            changes["active"] = False
        await self.store.change(function.id, **changes)

    async def _fields(
        self, function: Installed, body: Any, context: CallContext, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        user_valves = None
        if function.info.get("user_valves") is not None and context.user.get("id"):
            try:
                user_valves = await self.store.user_valves(function.id, str(context.user["id"]))
            except SealingError as error:
                _log.warning("function %s: user valves: %s", function.id, error)
        return {
            "body": body,
            "arguments": {**context.arguments(function.id), **arguments},
            "valves": function.valves,
            "user_valves": user_valves,
            "live": context.live,
            "emit": context.emit,
            "answer": self._answers.answerer(context),
        }
