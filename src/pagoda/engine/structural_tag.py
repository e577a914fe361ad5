"""Structural tags: free text in which certain tags hold constrained content, such as tool calls.

Two forms are read: vLLM's older one, {"structures": [{"begin", "schema", "end"}], "triggers": [...]}, and
XGrammar's newer one, {"type": "structural_tag", "format": {...}} with the formats const_string, json_schema,
regex, grammar, any_text, sequence, or, tag, triggered_tags and tags_with_separator. Tags are texts: a special
token that spells one is not meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pagoda.engine.grammar_text import (
    OPTIONS,
    parse_json,
    parse_schema,
    regex_expression,
    schema_with_options,
    text_expression,
)
from pagoda.engine.structured_outputs import GrammarError

_NAME = "structured_outputs.structural_tag"
_ANY = "/(?s:.*)/"
_MAX_DEPTH = 16


def structural_tag_grammar(tag: object, options: Mapping[str, Any]) -> str:
    """The grammar of a structural tag, given as an object or as text. Raises GrammarError."""
    tag = parse_json(tag, _NAME)
    if not isinstance(tag, dict):
        raise GrammarError(f"{_NAME} must be an object.")
    writer = _Writer(options)
    if "format" in tag:
        start = writer.expression(tag["format"], 0)
    elif "structures" in tag:
        start = writer.expression(_from_older_form(tag), 0)
    else:
        raise GrammarError(f"{_NAME} needs `format`, or `structures` with `triggers`.")
    return writer.grammar(start)


def _from_older_form(tag: Mapping[str, Any]) -> dict[str, Any]:
    structures = _list(tag, "structures")
    tags = []
    for structure in structures:
        if not isinstance(structure, dict):
            raise GrammarError(f"{_NAME}.structures must hold objects with begin, schema and end.")
        content = {"type": "json_schema", "json_schema": structure.get("schema", True)}
        tags.append({"begin": structure.get("begin"), "content": content, "end": structure.get("end", "")})
    return {"type": "triggered_tags", "triggers": _list(tag, "triggers"), "tags": tags}


class _Writer:
    """Collects the rules of a Lark grammar."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._rules: list[str] = []
        self._others: list[dict[str, str]] = []
        self._formats: dict[str, Callable[[Mapping[str, Any], int], str]] = {
            "const_string": self._const_string,
            "json_schema": self._json_schema,
            "regex": self._regex,
            "grammar": self._grammar,
            "any_text": self._any_text,
            "sequence": self._sequence,
            "or": self._or,
            "tag": self._tag,
            "triggered_tags": self._triggered_tags,
            "tags_with_separator": self._tags_with_separator,
        }

    def grammar(self, start: str) -> str:
        lark = OPTIONS + "\n".join([f"start: {start}", *self._rules])
        return json.dumps({"grammars": [{"name": "tags", "lark_grammar": lark}, *self._others]})

    def expression(self, form: object, depth: int) -> str:
        """A format as an expression of the grammar, with the rules it needs."""
        if not isinstance(form, dict):
            raise GrammarError(f"{_NAME}: a format must be an object with a type, got {form!r}.")
        kind = form.get("type")
        write = self._formats.get(kind) if isinstance(kind, str) else None
        if write is None:
            raise GrammarError(
                f"{_NAME}: the format {kind!r} is not supported; supported are {', '.join(self._formats)}."
            )
        if depth > _MAX_DEPTH:
            raise GrammarError(f"{_NAME} is nested too deeply.")
        return write(form, depth)

    def _rule(self, body: str, options: str = "") -> str:
        name = f"r{len(self._rules)}"
        self._rules.append(f"{name}{options}: {body}")
        return name

    def _const_string(self, form: Mapping[str, Any], depth: int) -> str:
        return text_expression(_text(form, "value"))

    def _json_schema(self, form: Mapping[str, Any], depth: int) -> str:
        schema = schema_with_options(parse_schema(form.get("json_schema", True), _NAME), self._options)
        return self._rule(f"%json {json.dumps(schema)}")

    def _regex(self, form: Mapping[str, Any], depth: int) -> str:
        return self._rule(regex_expression(_text(form, "pattern"), _NAME))

    def _grammar(self, form: Mapping[str, Any], depth: int) -> str:
        name = f"grammar{len(self._others)}"
        self._others.append({"name": name, "lark_grammar": _text(form, "grammar")})
        return self._rule(f"@{name}")

    def _any_text(self, form: Mapping[str, Any], depth: int) -> str:
        return self._rule(_ANY)

    def _until(self, end: str) -> str:
        """Any text up to the first `end` and that."""
        return self._rule(f"{_ANY} {text_expression(end)}", "[lazy]") if end else self._rule(_ANY)

    def _sequence(self, form: Mapping[str, Any], depth: int) -> str:
        elements = _list(form, "elements")
        written: list[str] = []
        skip = False
        for index, element in enumerate(elements):
            following = elements[index + 1] if index + 1 < len(elements) else None
            if skip:
                skip = False
            elif _kind(element) == "any_text" and _kind(following) == "const_string":
                written.append(self._until(_text(following, "value")))
                skip = True
            else:
                written.append(self.expression(element, depth + 1))
        return self._rule(" ".join(written))

    def _or(self, form: Mapping[str, Any], depth: int) -> str:
        return self._rule(" | ".join(self.expression(each, depth + 1) for each in _list(form, "elements")))

    def _tag(self, form: Mapping[str, Any], depth: int) -> str:
        return self._rule(f"{text_expression(_text(form, 'begin'))} {self._inside(form, depth)}")

    def _inside(self, form: Mapping[str, Any], depth: int) -> str:
        """The content of a tag and its end, which may be one of several texts."""
        ends = form.get("end", "")
        ends = [ends] if isinstance(ends, str) else ends
        if not isinstance(ends, list) or not ends or not all(isinstance(end, str) for end in ends):
            raise GrammarError(f"{_NAME}: the end of a tag must be a text, or a list of texts.")
        content = form.get("content")
        if _kind(content) == "any_text":
            return self._rule(" | ".join(self._until(end) for end in ends))
        written = " | ".join(text_expression(end) for end in ends)
        return f"{self.expression(content, depth + 1)} ({written})"

    def _triggered_tags(self, form: Mapping[str, Any], depth: int) -> str:
        triggers = [_nonempty(trigger) for trigger in _list(form, "triggers")]
        branches = []
        for tag in _list(form, "tags"):
            begin = _text(tag, "begin")
            trigger = next((each for each in triggers if begin.startswith(each)), None)
            if trigger is None:
                raise GrammarError(f"{_NAME}: the tag that begins with {begin!r} starts with no trigger.")
            head = self._until(trigger)
            rest = text_expression(begin[len(trigger) :]) if begin != trigger else ""
            branches.append(self._rule(f"{head} {rest} {self._inside(tag, depth)}"))
        tags = self._rule(" | ".join(branches))
        once, least = form.get("stop_after_first") is True, form.get("at_least_one") is True
        if once:
            return tags if least else self._rule(f"{tags} | {self._rule(_ANY)}")
        return self._rule(f"{tags}{'+' if least else '*'} {self._rule(_ANY)}")

    def _tags_with_separator(self, form: Mapping[str, Any], depth: int) -> str:
        tags = self._rule(" | ".join(self._tag(tag, depth + 1) for tag in _list(form, "tags")))
        more = "" if form.get("stop_after_first") is True else f" ({_separated(form)} {tags})*"
        body = f"{tags}{more}"
        return self._rule(body if form.get("at_least_one") is True else f"({body})?")


def _separated(form: Mapping[str, Any]) -> str:
    return text_expression(_text(form, "separator"))


def _kind(form: object) -> object:
    return form.get("type") if isinstance(form, dict) else None


def _list(form: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = form.get(key)
    if not isinstance(value, list) or not value:
        raise GrammarError(f"{_NAME}: {key} must be a list that is not empty.")
    return value


def _text(form: object, key: str) -> str:
    value = form.get(key) if isinstance(form, dict) else None
    if not isinstance(value, str):
        raise GrammarError(f"{_NAME}: {key} must be a text.")
    return value


def _nonempty(trigger: object) -> str:
    if not isinstance(trigger, str) or not trigger:
        raise GrammarError(f"{_NAME}: triggers must be texts that are not empty.")
    return trigger
