"""What the text of an answer must be: every spelling of requests becomes one StructuredOutputsParams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pagoda.api.errors import bad_request
from pagoda.api.protocol.common import StructuredFields
from pagoda.api.state import ServerState
from pagoda.engine.schema_rewrites import has_look_around
from pagoda.engine.structured_outputs import KINDS, ParameterError, StructuredOutputsParams

_FORMATS = "text, json_object, json_schema, structural_tag"
_OPTIONS = ("disable_any_whitespace", "disable_additional_properties", "whitespace_pattern")
_KNOWN = {*KINDS, *_OPTIONS, "disable_fallback"}

#: the spellings of vLLM before 0.12, and what they are called today
OLD_SPELLINGS = {
    "guided_json": "json",
    "guided_regex": "regex",
    "guided_choice": "choice",
    "guided_grammar": "grammar",
    "guided_json_object": "json_object",
    "guided_whitespace_pattern": "whitespace_pattern",
}

_MAX_SIZE = 1024 * 1024  #: characters; the engine's limits of each kind are lower
_OLD_NAMES = {now: old for old, now in OLD_SPELLINGS.items()}

_NOTHING: tuple[object, ...] = (None, "", [], False)  #: values of old fields that ask for nothing


def structured_outputs(request: StructuredFields) -> StructuredOutputsParams | None:
    """The constraint that a request asks for, None where it asks for none. Raises ApiError 400.

    `json_object` gives way to a constraint that says more; two others are a contradiction.
    """
    wanted: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, values in (
        ("response_format", _from_format(request.response_format)),
        ("structured_outputs", _from_structured(request.structured_outputs)),
        ("", _from_guided(request)),
    ):
        for name, value in values.items():
            if wanted.get(name, value) != value:
                message = f"{sources[name]} and {source or _OLD_NAMES[name]} ask for different things."
                raise bad_request(message, sources[name])
            wanted[name] = value
            sources[name] = source or _OLD_NAMES[name]
    kinds = [name for name in KINDS if name in wanted]
    if len(kinds) > 1 and "json_object" in kinds:
        kinds.remove("json_object")
        del wanted["json_object"]
    if not kinds:
        return None
    if len(kinds) > 1:
        named = " and ".join(f"{sources[kind]} ({kind})" for kind in kinds)
        raise bad_request(
            "You can only use one kind of structured outputs constraint but multiple are specified: "
            f"{named}.",
            "structured_outputs",
        )
    _check_size(wanted[kinds[0]], sources[kinds[0]])
    try:
        return StructuredOutputsParams(**wanted)
    except ParameterError as error:
        raise bad_request(str(error), sources[kinds[0]]) from error


def _check_size(constraint: Any, source: str) -> None:
    """Refuses what no grammar may hold before it is looked at in detail."""
    try:
        size = len(msgspec.json.encode(constraint))
    except RecursionError as error:
        raise bad_request("The constraint is nested too deeply.", source) from error
    if size > _MAX_SIZE:
        message = f"The constraint holds {size:,} characters; at most {_MAX_SIZE:,} are accepted."
        raise bad_request(message, source)


async def check_constraint(state: ServerState, constraint: StructuredOutputsParams, param: str) -> None:
    """Sees whether a constraint can be compiled, without holding up others. Raises ApiError 400."""
    if isinstance(constraint.json, str) and has_look_around(constraint.json):
        state.tell_once("JSON Schemas' patterns are enforced without their look-ahead and look-behind.")
    try:
        await state.checks.check(constraint)
    except ParameterError as error:
        raise bad_request(str(error), param) from error


def or_format(constraint: StructuredOutputsParams, other: dict[str, Any]) -> StructuredOutputsParams | None:
    """The constraint, or text of another format (one of structural tags); None where that cannot be said:
    structural tags leave the text around them free.
    """
    form = _as_format(constraint)
    if form is None:
        return None
    either = {"type": "structural_tag", "format": {"type": "or", "elements": [form, other]}}
    return StructuredOutputsParams(
        structural_tag=either,
        disable_any_whitespace=constraint.disable_any_whitespace,
        disable_additional_properties=constraint.disable_additional_properties,
        whitespace_pattern=constraint.whitespace_pattern,
    )


def _as_format(constraint: StructuredOutputsParams) -> dict[str, Any] | None:
    """A constraint as a format of structural tags."""
    if constraint.json is not None:
        return {"type": "json_schema", "json_schema": constraint.json}
    if constraint.json_object:
        return {"type": "json_schema", "json_schema": {"type": "object"}}
    if constraint.regex is not None:
        return {"type": "regex", "pattern": constraint.regex}
    if constraint.choice is not None:
        texts = [{"type": "const_string", "value": text} for text in constraint.choice]
        return {"type": "or", "elements": texts}
    if constraint.grammar is not None:
        return {"type": "grammar", "grammar": constraint.grammar}
    return None


def param_of(request: StructuredFields) -> str:
    """The field of a request that a constraint came from."""
    if request.response_format is not None:
        return "response_format"
    if request.structured_outputs is not None:
        return "structured_outputs"
    return next((name for name in OLD_SPELLINGS if getattr(request, name)), "structured_outputs")


def tell_old_spellings(state: ServerState, request: StructuredFields) -> None:
    """Writes to the log, once each, what the fields of a request are called today."""
    for old, now in OLD_SPELLINGS.items():
        if getattr(request, old) not in _NOTHING:
            state.tell_once(
                f"A request has {old}, the old spelling of structured_outputs with {now}: "
                "it works here, while today's vLLM ignores it."
            )
    if request.guided_decoding_backend:
        state.tell_once(
            "A request has guided_decoding_backend, which changes nothing: there is one back end."
        )


def _from_format(given: dict[str, Any] | str | None) -> dict[str, Any]:
    if given is None:
        return {}
    wanted = {"type": given} if isinstance(given, str) else given
    kind = wanted.get("type")
    if kind == "text":
        return {}
    if kind == "json_object":
        schema = wanted.get("schema")
        return {"json_object": True} if schema is None else {"json": _schema(schema)}
    if kind == "json_schema":
        inner = wanted.get("json_schema")
        schema = inner.get("schema") if isinstance(inner, dict) else wanted.get("schema")
        if schema is None:
            raise bad_request(
                "response_format of type json_schema needs the schema: "
                '{"type": "json_schema", "json_schema": {"name": "...", "schema": {...}}}.',
                "response_format",
            )
        return {"json": _schema(schema)}
    if kind == "structural_tag":
        return {"structural_tag": wanted}
    raise bad_request(
        f"response_format.type is {_short(kind)}; it must be one of {_FORMATS}.", "response_format"
    )


def _schema(schema: Any) -> Any:
    if not isinstance(schema, dict | bool | str):
        raise bad_request("response_format has a schema that is no object.", "response_format")
    return schema


def _from_structured(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if not given:
        return {}
    values = {name: value for name, value in given.items() if value is not None}
    unknown = sorted(name for name in values if name not in _KNOWN and not name.startswith("_"))
    if unknown:
        raise bad_request(
            f"structured_outputs has no {_short(unknown[0])}; it knows {', '.join(KINDS)}.",
            "structured_outputs",
        )
    if not any(name in KINDS for name in values):
        raise bad_request(
            f"structured_outputs needs one of {', '.join(KINDS)}, but none is given.", "structured_outputs"
        )
    if not isinstance(values.get("json", ""), dict | bool | str):
        raise bad_request("structured_outputs.json must be a JSON Schema.", "structured_outputs")
    if not isinstance(values.get("choice", []), list):
        raise bad_request("structured_outputs.choice must be a list of strings.", "structured_outputs")
    if not isinstance(values.get("structural_tag", ""), dict | str):
        raise bad_request(
            "structured_outputs.structural_tag must be an object or its JSON text.", "structured_outputs"
        )
    for name in ("json_object", "disable_any_whitespace", "disable_additional_properties"):
        if not isinstance(values.get(name, False), bool):
            raise bad_request(f"structured_outputs.{name} must be true or false.", "structured_outputs")
    return {name: value for name, value in values.items() if name in _KNOWN}


def _from_guided(request: StructuredFields) -> dict[str, Any]:
    return {
        now: getattr(request, old)
        for old, now in OLD_SPELLINGS.items()
        if getattr(request, old) not in _NOTHING
    }


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
