"""What a request says of tools, validated, and the JSON Schema that forces a required or named call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
_DEEPEST = 256  # lists and objects in each other
_CHOICES = ("none", "auto", "required")


class ToolError(ValueError):
    """Tools, or a choice among them, that cannot be served; one line. `parameter` names the field."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class NamedTool:
    """The choice of one function that must be called."""

    name: str


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | NamedTool


def check_tools(tools: Any) -> list[dict[str, Any]] | None:
    """The function tools of a request, `{"type": "function", "function": {"name", ...}}`; None for none.

    An empty list, another type of tool, or a function without a name raises ToolError.
    """
    if tools is None:
        return None
    if not isinstance(tools, Sequence) or isinstance(tools, str):
        raise ToolError("tools", "tools must be a list of functions.")
    if not tools:
        raise ToolError("tools", "tools must not be empty; leave the field out if there are none.")
    return [_check_tool(tool, index) for index, tool in enumerate(tools)]


def _check_tool(tool: Any, index: int) -> dict[str, Any]:
    if not isinstance(tool, Mapping) or tool.get("type", "function") != "function":
        kind = tool.get("type") if isinstance(tool, Mapping) else type(tool).__name__
        raise ToolError("tools", f'tools[{index}] is of type {kind!r}; only "function" tools are served.')
    function = tool.get("function")
    if not isinstance(function, Mapping):
        raise ToolError("tools", f'tools[{index}] needs an object under "function".')
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ToolError("tools", f"tools[{index}].function.name must be a text that is not empty.")
    description = function.get("description")
    if description is not None and not isinstance(description, str):
        raise ToolError("tools", f"tools[{index}].function.description must be a text.")
    parameters = function.get("parameters")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise ToolError("tools", f"tools[{index}].function.parameters must be a JSON Schema object.")
    if _is_deeper(parameters, _DEEPEST):
        raise ToolError("tools", f"tools[{index}].function.parameters is nested too deeply.")
    return dict(tool)


def _is_deeper(value: Any, limit: int) -> bool:
    """Whether lists and objects are nested more than `limit` deep; without recursion."""
    level = [value]
    for _ in range(limit + 1):
        level = [
            inner
            for each in level
            if isinstance(each, Mapping | list)
            for inner in (each.values() if isinstance(each, Mapping) else each)
            if isinstance(inner, Mapping | list)
        ]
        if not level:
            return False
    return True


def check_tool_choice(tool_choice: Any, tools: Sequence[Mapping[str, Any]] | None) -> ToolChoice:
    """The choice a request makes: "auto" with tools and "none" without, where it says nothing. Raises
    ToolError.
    """
    if tool_choice is None:
        return "auto" if tools else "none"
    if isinstance(tool_choice, str):
        if tool_choice not in _CHOICES:
            raise ToolError(
                "tool_choice",
                f'tool_choice is {tool_choice!r}; use "none", "auto", "required" or a named function.',
            )
        if not tools:
            if tool_choice == "required":
                raise ToolError("tool_choice", 'tool_choice "required" needs tools; send some.')
            return "none"
        return tool_choice  # type: ignore[return-value]
    name = _chosen_name(tool_choice)
    if not tools:
        raise ToolError("tool_choice", "When tool_choice names a function, tools must be sent.")
    if name not in tool_names(tools):
        raise ToolError("tool_choice", f"tool_choice names {name!r}, which is none of the tools.")
    return NamedTool(name)


def _chosen_name(tool_choice: Any) -> str:
    if isinstance(tool_choice, Mapping) and tool_choice.get("type", "function") == "function":
        function = tool_choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else tool_choice.get("name")
        if isinstance(name, str) and name:
            return name
    raise ToolError(
        "tool_choice",
        'tool_choice must be "none", "auto", "required" or {"type": "function", "function": {"name": ...}}.',
    )


def tool_names(tools: Sequence[Mapping[str, Any]] | None) -> frozenset[str]:
    return frozenset(tool["function"]["name"] for tool in tools or ())


def parameters_schema(tools: Sequence[Mapping[str, Any]] | None, name: str) -> Mapping[str, Any]:
    """The JSON Schema of a function's arguments; that of an empty object where the tool gives none."""
    for tool in tools or ():
        if tool["function"]["name"] == name:
            return tool["function"].get("parameters") or _NO_PARAMETERS
    return _NO_PARAMETERS


def tool_choice_schema(
    tools: Sequence[Mapping[str, Any]], tool_choice: ToolChoice, parallel: bool = True
) -> dict[str, Any] | None:
    """The JSON Schema that the answer must follow; None for "none" and "auto", which force nothing.

    A named tool: its arguments, bare. "required": a list, with one entry or more (exactly one unless
    `parallel`), of {"name": ..., "parameters": ...}.
    """
    if isinstance(tool_choice, NamedTool):
        schema: dict[str, Any] = dict(_moved(parameters_schema(tools, tool_choice.name), "#"))
        schema.setdefault("type", "object")
        return schema
    if tool_choice != "required":
        return None
    definitions: dict[str, Any] = {}
    calls = []
    for index, tool in enumerate(tools):
        name = tool["function"]["name"]
        parameters = dict(tool["function"].get("parameters") or _NO_PARAMETERS)
        parameters.setdefault("type", "object")
        # A schema refers to its own parts from its root; it keeps them as a definition under a root of ours.
        place = f"#/$defs/parameters_{index}"
        definitions[f"parameters_{index}"] = _moved(parameters, place)
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": name}, "parameters": {"$ref": place}},
                "required": ["name", "parameters"],
                "additionalProperties": False,
            }
        )
    schema = {"type": "array", "minItems": 1, "items": {"anyOf": calls}, "$defs": definitions}
    if not parallel:
        schema["maxItems"] = 1
    return schema


def _moved(schema: Any, place: str) -> Any:
    """The schema with its references into itself ("#...") made references to `place`. Names that it has in
    the world are left out: as a part of another schema it would be looked up by them.
    """
    if isinstance(schema, Mapping):
        return {
            key: place + value[1:]
            if key == "$ref" and isinstance(value, str) and value.startswith("#")
            else _moved(value, place)
            for key, value in schema.items()
            if not (key in ("$id", "$schema") and isinstance(value, str))
        }
    if isinstance(schema, list):
        return [_moved(each, place) for each in schema]
    return schema
