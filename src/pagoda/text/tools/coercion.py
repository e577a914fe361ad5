"""Arguments written as plain text, turned into JSON as the function's schema says."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LONGEST_LITERAL = 100_000
_MOST_REFERENCES = 100  # that are followed for one parameter
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object", list: "array"}


def json_string(text: str) -> str:
    """`text` inside the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def value_types(schema: Any, root: Mapping[str, Any], seen: set[str] | None = None) -> frozenset[str]:
    """The JSON types that a schema admits; empty where it does not say. `root` resolves its references, each
    of which is followed once (`seen`).
    """
    seen = set() if seen is None else seen
    if not isinstance(schema, Mapping):
        return frozenset()
    kind = schema.get("type")
    if isinstance(kind, str):
        return frozenset((kind,))
    if isinstance(kind, list):
        return frozenset(each for each in kind if isinstance(each, str))
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in seen or len(seen) == _MOST_REFERENCES:
            return frozenset()
        seen.add(reference)
        return value_types(_resolve(reference, root), root, seen)
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list):
            return frozenset().union(*(value_types(each, root, seen) for each in schema[key]))
    values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema.get("const")]
    found = {"null" if value is None else _TYPES.get(type(value), "") for value in values}
    if "const" not in schema and "enum" not in schema:
        found = {"object"} if "properties" in schema else {"array"} if "items" in schema else set()
    return frozenset(found - {""})


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part.replace("~1", "/").replace("~0", "~"))
    return found


def coerced(text: str, types: frozenset[str]) -> str:
    """The JSON of an argument: the first of the types that it can be read as, else a string.

    With a type that is not only "string". null, booleans, numbers, then objects and lists, also as Python
    writes them.
    """
    word = text.strip()
    if word.lower() in ("null", "none") and ("null" in types or "string" not in types):
        return "null"
    if "boolean" in types and word.lower() in ("true", "false"):
        return word.lower()
    if types & {"integer", "number"} and _NUMBER.fullmatch(word):
        if "number" in types or re.fullmatch(r"-?\d+", word):
            return word
        if re.fullmatch(r"-?\d+\.0+", word):
            return word[: word.index(".")]
    if types & {"object", "array"}:
        kind, written = _structure(word)
        if kind in types:
            return written
    return f'"{json_string(text)}"'


def _structure(text: str) -> tuple[str, str]:
    """The kind, "object" or "array", and the JSON of text that is JSON or a literal of Python; "" else."""
    for read in (_from_json, _from_python):
        try:
            value = read(text)
            written = json.dumps(value, ensure_ascii=False, allow_nan=False)
            if not _is_unicode(written):  # lone surrogates cannot be sent as they are
                written = json.dumps(value, allow_nan=False)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue  # models write either
        return ("object" if isinstance(value, dict) else "array" if isinstance(value, list) else ""), written
    return "", ""


def _from_json(text: str) -> Any:
    return json.loads(text, strict=False)


def _from_python(text: str) -> Any:
    if len(text) > _LONGEST_LITERAL:
        raise ValueError("too long")
    return ast.literal_eval(text)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
