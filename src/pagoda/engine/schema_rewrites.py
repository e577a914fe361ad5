"""JSON Schemas in words that the grammar compiler knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_NAMED = ("properties", "patternProperties", "$defs", "definitions")  #: their keys are names, not keywords
_LITERAL = ("const", "enum", "default", "examples", "required")  #: their values are no schemas
_MAX_REFERENCES = 8
_LOOK_AROUND = ("(?=", "(?!", "(?<=", "(?<!")
_SAME = {r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$": r"^[+-]?(\d+\.?\d*|\.\d+)$"}  #: a Decimal of Pydantic

Rewrite = Callable[[dict[str, Any]], dict[str, Any]]


def rewrite(schema: Any, change: Rewrite) -> Any:
    """A copy of the schema in which `change` was applied to every schema, inner ones first."""
    if isinstance(schema, list):
        return [rewrite(item, change) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED and isinstance(value, dict):
            found[key] = {name: rewrite(item, change) for name, item in value.items()}
        else:
            found[key] = value if key in _LITERAL else rewrite(value, change)
    return change(found)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Objects hold only the properties they name, where they say nothing else."""

    def close(schema: dict[str, Any]) -> dict[str, Any]:
        return {"additionalProperties": False, **schema} if "properties" in schema else schema

    changed: dict[str, Any] = rewrite(schema, close)
    return changed


def without_property_names(schema: dict[str, Any]) -> dict[str, Any]:
    """`propertyNames` with listed names, or with a pattern, as the `properties` or `patternProperties` that
    say the same. Others stay as they are.
    """

    def name_properties(inner: dict[str, Any]) -> dict[str, Any]:
        if "propertyNames" not in inner or "patternProperties" in inner:
            return inner
        names = _resolve(inner["propertyNames"], schema)
        rest = {key: value for key, value in inner.items() if key != "propertyNames"}
        values = rest.pop("additionalProperties", True)
        listed = names.get("enum", [names["const"]] if "const" in names else None)
        if isinstance(listed, list):
            own = inner.get("properties", {})
            properties = {name: own.get(name, values) for name in listed if isinstance(name, str)}
            return {**rest, "properties": properties, "additionalProperties": False}
        if isinstance(names.get("pattern"), str) and "properties" not in inner:
            return {**rest, "patternProperties": {names["pattern"]: values}, "additionalProperties": False}
        return inner

    changed: dict[str, Any] = rewrite(schema, name_properties)
    return changed


def has_look_around(text: str) -> bool:
    """Whether a schema's text may hold a pattern with look-around."""
    return any(sign in text for sign in _LOOK_AROUND)


def without_look_around(schema: dict[str, Any]) -> dict[str, Any]:
    """Patterns in a form that a grammar can follow: look-ahead and look-behind are left out, so that a little
    more is admitted than the pattern does. Pydantic's pattern of a Decimal keeps its meaning.
    """

    def leave_out(inner: dict[str, Any]) -> dict[str, Any]:
        pattern = inner.get("pattern")
        if not isinstance(pattern, str) or not has_look_around(pattern):
            return inner
        return {**inner, "pattern": _SAME.get(pattern) or _plain(pattern)}

    changed: dict[str, Any] = rewrite(schema, leave_out)
    return changed


def _plain(pattern: str) -> str:
    """The pattern without its groups of look-around, and with the end of the text outside of groups."""
    kept: list[str] = []
    depth = hidden = 0  # of groups; the depth at which a look-around began
    in_class = ends = False
    at = 0
    while at < len(pattern):
        size = 2 if pattern[at] == "\\" else 1
        letter = pattern[at : at + size]
        if in_class:
            in_class = letter != "]"
        elif letter == "[":
            in_class = True
            if pattern[at + 1 : at + 2] == "]" or pattern[at + 1 : at + 3] == "^]":
                letter = pattern[at : pattern.index("]", at) + 1]
        elif letter == "(":
            depth += 1
            if not hidden and pattern.startswith(_LOOK_AROUND, at):
                hidden = depth
        elif letter == ")":
            depth -= 1
            if hidden > depth:
                hidden = 0
                letter = ""
                at += 1
        elif letter == "$" and depth:
            ends = ends or not hidden
            letter, at = "", at + 1
        if not hidden:
            kept.append(letter)
        at += len(letter)
    return "".join(kept) + ("$" if ends else "")


def _resolve(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a local reference leads to; an empty one where it leads nowhere."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        schema = root if reference.startswith("#") else {}
        for part in reference.removeprefix("#").strip("/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            schema = schema.get(name) if isinstance(schema, Mapping) and name else schema
    return {}
