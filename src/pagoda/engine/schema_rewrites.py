"""JSON Schemas in words that the grammar compiler knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_NAMED = ("properties", "patternProperties", "$defs", "definitions")  #: their keys are names, not keywords
_LITERAL = ("const", "enum", "default", "examples", "required")  #: their values are no schemas
_MAX_REFERENCES = 8

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
