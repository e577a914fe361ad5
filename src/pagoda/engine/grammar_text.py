"""From a request's constraint to one grammar in llguidance's own text, which names its compiled form, too.

Grammars are compiled with `no_forcing`: where the next bytes are certain the model still picks the tokens
that spell them, and no text is tokenized while masks are computed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pagoda.engine.schema_rewrites import (
    closed,
    has_look_around,
    without_look_around,
    without_property_names,
)
from pagoda.engine.structured_outputs import GrammarError, StructuredOutputsParams

OPTIONS = '%llguidance {"no_forcing": true}\n'
MAX_SCHEMA = 512 * 1024  #: characters of a JSON Schema or a structural tag
MAX_GRAMMAR = 64 * 1024
MAX_REGEX = 32 * 1024
MAX_CHOICES = 10_000
MAX_CHOICE = 256 * 1024  #: characters of all choices together
#: what may stand where JSON allows whitespace. Bounded, or else small models write newlines without end.
WHITESPACE = r"[ \t\n\r]{1,64}"


def grammar_text(params: StructuredOutputsParams) -> str:
    """The grammar of a constraint. Raises GrammarError for what is too large or not well formed; whether it
    can be compiled is another question.
    """
    try:
        return _grammar_text(params)
    except RecursionError:
        raise GrammarError("The constraint is nested too deeply.") from None


def _grammar_text(params: StructuredOutputsParams) -> str:
    if params.json is not None:
        return schema_grammar(parse_schema(params.json), json_options(params))
    if params.json_object is not None:
        return schema_grammar({"type": "object"}, json_options(params))
    if params.regex is not None:
        return OPTIONS + "start: " + regex_expression(params.regex)
    if params.choice is not None:
        return _choice(params.choice)
    if params.grammar is not None:
        return _grammar(params.grammar)
    from pagoda.engine.structural_tag import structural_tag_grammar

    return structural_tag_grammar(params.structural_tag, json_options(params))


def json_options(params: StructuredOutputsParams) -> dict[str, Any]:
    """The options of llguidance's JSON compiler that a request asks for."""
    options: dict[str, Any] = {"lenient": True}  # check_grammar refuses what must not be left out
    if params.whitespace_pattern is not None:
        limit("structured_outputs.whitespace_pattern", params.whitespace_pattern, MAX_REGEX)
        options["whitespace_pattern"] = params.whitespace_pattern
    elif params.disable_any_whitespace:
        options["whitespace_flexible"] = False
    if params.disable_additional_properties:
        options["disable_additional_properties"] = True
    return options


def parse_schema(schema: object, name: str = "structured_outputs.json") -> dict[str, Any]:
    """A JSON Schema given as an object or as text. Raises GrammarError."""
    schema = parse_json(schema, name)
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise GrammarError(f"{name} must be a JSON Schema: an object or true.")
    return schema


def parse_json(value: object, name: str) -> object:
    """A JSON value given as it is or as text, with a limit on its size. Raises GrammarError."""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
        limit(name, text, MAX_SCHEMA)
        return json.loads(text)
    except RecursionError:
        raise GrammarError(f"{name} is nested too deeply.") from None
    except (TypeError, ValueError) as error:
        if isinstance(error, GrammarError):
            raise
        raise GrammarError(f"{name} is not valid JSON: {error}") from None


def schema_with_options(schema: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with options for its compiler; the schema's own `x-guidance` goes before defaults."""
    own = schema.get("x-guidance")
    merged = {**(own if isinstance(own, dict) else {}), **options}
    if merged.pop("disable_additional_properties", False):
        schema = closed(schema)
    text = json.dumps(schema)
    if '"propertyNames"' in text:
        schema = without_property_names(schema)
    if has_look_around(text):
        schema = without_look_around(schema)
    if "whitespace_flexible" not in merged:
        merged.setdefault("whitespace_pattern", WHITESPACE)
    return {**schema, "x-guidance": merged}


def schema_grammar(schema: dict[str, Any], options: Mapping[str, Any]) -> str:
    """A grammar whose texts are the JSON values of a schema."""
    parts = [
        {"name": "start", "lark_grammar": OPTIONS + "start: @json"},
        {"name": "json", "json_schema": schema_with_options(schema, options)},
    ]
    return json.dumps({"grammars": parts})


def regex_expression(pattern: str, name: str = "structured_outputs.regex") -> str:
    """A regular expression (Rust's syntax, which has no look-around) as a Lark terminal; it is held against
    the whole text, so anchors at its ends say nothing new.
    """
    limit(name, pattern, MAX_REGEX)
    pattern = pattern.removeprefix("^")
    if pattern.endswith("$") and (len(pattern) - len(pattern[:-1].rstrip("\\"))) % 2 == 1:
        pattern = pattern[:-1]
    if not pattern:
        return '""'
    import llguidance  # loaded with the first constraint: a server starts sooner

    return f"/{llguidance.regex_to_lark(pattern)}/"


def text_expression(text: str) -> str:
    """A literal text in Lark."""
    return json.dumps(text)


def limit(name: str, text: str, most: int) -> None:
    """Raises GrammarError for a text that is too long or no Unicode."""
    if len(text) > most:
        raise GrammarError(f"{name} holds {len(text):,} characters; at most {most:,} are accepted.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise GrammarError(f"{name} is not valid Unicode: it contains lone surrogates.") from None


def _choice(choices: tuple[str, ...]) -> str:
    name = "structured_outputs.choice"
    if len(choices) > MAX_CHOICES:
        raise GrammarError(f"{name} holds {len(choices):,} texts; at most {MAX_CHOICES:,} are accepted.")
    limit(name, "".join(choices), MAX_CHOICE)
    written = [text_expression(text) for text in dict.fromkeys(choices) if text]
    empty = [] if all(choices) else ['""']
    terminal = f"\nCHOICE: {' | '.join(written)}" if written else ""
    return OPTIONS + "start: " + " | ".join([*(["CHOICE"] if written else []), *empty]) + terminal


def _grammar(text: str) -> str:
    limit("structured_outputs.grammar", text, MAX_GRAMMAR)
    if "::=" not in text:
        return OPTIONS + text
    import llguidance

    try:
        return OPTIONS + llguidance.grammar_from("gbnf", text)
    except ValueError as error:
        raise GrammarError(f"structured_outputs.grammar cannot be read as EBNF: {one_line(error)}") from None


def one_line(error: object, most: int = 300) -> str:
    """An error's text in one line, cut where it grows long."""
    text = " ".join(str(error).replace("<non-verbose/>", "").split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
