"""What a handler gets: the arguments whose names it declares, and no others."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from pagoda.workspace.functions.messages import Call, Emitted
from pagoda.workspace.functions.plugin_process.loader import Loaded
from pagoda.workspace.functions.plugin_process.peer import Peer


def set_valves(function: Loaded, values: dict[str, Any] | None) -> None:
    """Gives the shared instance its saved values, before every call. Raises what the model raises."""
    instance = function.instance
    if not hasattr(instance, "valves") or not hasattr(instance, "Valves"):
        return
    given = values or {}
    if function.kind == "pipe":
        given = {name: value for name, value in given.items() if value is not None}
    instance.valves = instance.Valves(**given)


def arguments_for(handler: Callable[..., Any], function: Loaded, call: Call, peer: Peer) -> dict[str, Any]:
    """By name, from the handler's signature; `**kwargs` gets nothing."""
    declared = {
        name
        for name, each in inspect.signature(handler).parameters.items()
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    }
    main = "event" if call.hook == "stream" else "body"
    found: dict[str, Any] = {main: call.body, **call.arguments}
    if call.hook not in ("inlet", "stream", "outlet", "pipe", "action"):
        found.pop(main)
    if "__user__" in declared and isinstance(found.get("__user__"), dict):
        _add_user_valves(found["__user__"], function, call.user_valves)
    watched = call.live or call.hook != "pipe"  # filters may rely on being able to emit
    if "__event_emitter__" in declared:
        found["__event_emitter__"] = _emitter(peer, call.id) if watched else None
    if "__event_call__" in declared:
        found["__event_call__"] = _caller(peer) if watched else None
    if "__request__" in declared:
        from pagoda.workspace.functions.plugin_process.request import request_of

        found["__request__"] = request_of(call)
    return {name: value for name, value in found.items() if name in declared}


def _add_user_valves(user: dict[str, Any], function: Loaded, values: dict[str, Any] | None) -> None:
    model = getattr(function.instance, "UserValves", None)
    if model is None:
        return
    try:
        user["valves"] = model(**(values or {}))
    except ValueError as error:
        print(f"user valves do not fit: {error}")  # noqa: T201 - to the log, under the function's name
        if function.kind == "pipe":
            user["valves"] = model()


def _emitter(peer: Peer, call_id: int) -> Callable[[Any], Any]:
    async def emit(event: Any) -> None:
        peer.send(Emitted(call_id, event))

    return emit


def _caller(peer: Peer) -> Callable[[Any], Any]:
    async def ask(event: Any) -> Any:
        return await asyncio.wrap_future(peer.ask("event_call", event=event))

    return ask
