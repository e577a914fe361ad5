"""Tools of the Responses API as tools of a chat, and what the response says about them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pagoda.api.errors import bad_request

_log = logging.getLogger(__name__)

_FREEFORM: dict[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The text that is given to the tool."}},
    "required": ["input"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Tools:
    """What a request offers.

    chat: as chat completions write tools. choice: likewise; None where it is not said. shown, shown_choice:
    for the response. custom: names of the tools that take free text instead of JSON. namespaces: of the
    functions that came in one.
    """

    chat: list[dict[str, Any]] = field(default_factory=list)
    choice: str | dict[str, Any] | None = None
    shown: list[dict[str, Any]] = field(default_factory=list)
    shown_choice: str | dict[str, Any] = "auto"
    custom: frozenset[str] = frozenset()
    namespaces: dict[str, str] = field(default_factory=dict)


def read_tools(given: Sequence[Any] | None, choice: str | dict[str, Any] | None) -> Tools:
    """Kinds of tools that only OpenAI can run are left out with a line in the log. Raises ApiError 400."""
    chat: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    custom: set[str] = set()
    namespaces: dict[str, str] = {}
    left_out: list[str] = []

    def take(tool: Any, where: str, namespace: str | None) -> dict[str, Any] | None:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "function":
            written = _function(tool, where)
        elif kind == "custom":
            written = _custom(tool, where)
        else:
            left_out.append(str(kind)[:64])
            return None
        name = written["function"]["name"]
        if kind == "custom":
            custom.add(name)
        if namespace is not None:
            namespaces[name] = namespace
        chat.append(written)
        return _shown(tool)

    for number, tool in enumerate(given or ()):
        where = f"tools[{number}]"
        if isinstance(tool, dict) and tool.get("type") == "namespace":
            namespace = tool.get("name")
            if not isinstance(namespace, str):
                raise bad_request(f"{where} is a namespace without a name.", "tools")
            inner = tool.get("tools")
            members = [take(member, where, namespace) for member in inner] if isinstance(inner, list) else []
            kept = [member for member in members if member is not None]
            if kept:
                shown.append({"description": "", **tool, "tools": kept})
        elif (made := take(tool, where, None)) is not None:
            shown.append(made)
    if left_out:
        _log.warning("responses: this server cannot run tools of these types: %s", ", ".join(left_out))
    if not given and (choice == "required" or isinstance(choice, dict)):
        raise bad_request("tool_choice needs tools.", "tool_choice")
    if not chat:  # nothing is left of what was given
        return Tools(shown_choice=choice or "auto")
    wanted, allowed = _choice(choice)
    if allowed is not None:
        chat = [tool for tool in chat if tool["function"]["name"] in allowed]
        if not chat:
            raise bad_request("tool_choice allows none of the tools.", "tool_choice")
    return Tools(chat, wanted, shown, choice or "auto", frozenset(custom), namespaces)


def _function(tool: dict[str, Any], where: str) -> dict[str, Any]:
    nested = tool.get("function")  # as chat completions write it
    source = nested if isinstance(nested, dict) and "name" not in tool else tool
    name, parameters = source.get("name"), source.get("parameters")
    if not isinstance(name, str) or not name:
        raise bad_request(f"{where} is a function without a name.", "tools")
    if parameters is not None and not isinstance(parameters, dict):
        raise bad_request(f"{where}.parameters must be a JSON Schema.", "tools")
    function: dict[str, Any] = {"name": name}
    if isinstance(source.get("description"), str):
        function["description"] = source["description"]
    function["parameters"] = parameters if parameters is not None else {"type": "object", "properties": {}}
    if source.get("strict") is not None:
        function["strict"] = bool(source["strict"])
    return {"type": "function", "function": function}


def _custom(tool: dict[str, Any], where: str) -> dict[str, Any]:
    name, style = tool.get("name"), tool.get("format")
    if not isinstance(name, str) or not name:
        raise bad_request(f"{where} is a custom tool without a name.", "tools")
    description = tool.get("description") or ""
    if isinstance(style, dict) and style.get("type") == "grammar":
        description += f"\n\nThe input follows this {style.get('syntax')} grammar:\n{style.get('definition')}"
    function = {"name": name, "description": str(description).strip(), "parameters": _FREEFORM}
    return {"type": "function", "function": function}


def _shown(tool: dict[str, Any]) -> dict[str, Any]:
    nested = tool.get("function")
    flat = {**nested, "type": "function"} if isinstance(nested, dict) and "name" not in tool else tool
    if flat["type"] == "custom":
        return dict(flat)
    return {"description": None, "parameters": None, "strict": None, **flat}


def _choice(choice: str | dict[str, Any] | None) -> tuple[str | dict[str, Any] | None, set[str] | None]:
    """tool_choice of a chat, and the names that it allows where it names some."""
    if choice is None or choice in ("none", "auto", "required"):
        return choice, None
    if isinstance(choice, str):
        raise bad_request(
            f"tool_choice is {choice!r:.64}; use none, auto, required, or an object that names a tool.",
            "tool_choice",
        )
    kind = choice.get("type")
    if kind in ("function", "custom"):
        nested = choice.get("function")
        name = choice.get("name") or (nested.get("name") if isinstance(nested, dict) else None)
        if not isinstance(name, str):
            raise bad_request("tool_choice needs the name of a tool.", "tool_choice")
        return {"type": "function", "function": {"name": name}}, None
    if kind == "allowed_tools":
        listed = choice.get("tools")
        allowed = {
            tool["name"]
            for tool in (listed if isinstance(listed, list) else [])
            if isinstance(tool, dict) and isinstance(tool.get("name"), str)
        }
        return ("required" if choice.get("mode") == "required" else "auto"), allowed
    _log.warning("responses: tool_choice of type %.64r is taken as auto: there is no such tool here", kind)
    return "auto", None
