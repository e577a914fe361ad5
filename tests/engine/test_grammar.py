"""Which constraints are accepted, what texts their grammars admit, and how soon the others are refused."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import llguidance
import pytest

from pagoda.engine.grammar import GrammarError, check_grammar
from pagoda.engine.grammar_text import grammar_text
from pagoda.engine.params import ParameterError, SamplingParams
from pagoda.engine.structured_outputs import StructuredOutputsParams


@cache
def byte_tokenizer() -> Any:
    return llguidance.LLTokenizer("byte")


def admits(text: str, **constraint: Any) -> bool:
    """Whether `text` is a whole text of the constraint."""
    params = StructuredOutputsParams(**constraint)
    check_grammar(params)
    matcher = llguidance.LLMatcher(byte_tokenizer(), grammar_text(params), log_level=0)
    data = list(text.encode())
    return bool(matcher.try_consume_tokens(data) == len(data) and matcher.is_accepting())


def refusal(**constraint: Any) -> str:
    with pytest.raises(GrammarError) as caught:
        check_grammar(StructuredOutputsParams(**constraint))
    assert caught.value.parameter == "structured_outputs"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    return str(caught.value)


PERSON = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}


@pytest.mark.parametrize("schema", [PERSON, json.dumps(PERSON)])
def test_json_schema(schema: object) -> None:
    assert admits('{"age": 3}', json=schema)
    assert admits('{"age":3,\n  "more": [1, {}]}', json=schema)
    assert not admits('{"age": "3"}', json=schema)
    assert not admits('{"age": 3} ', json=schema)
    assert not admits('{"name": 3}', json=schema)


def test_whitespace_in_json() -> None:
    assert admits('{"age":' + " " * 64 + "3}", json=PERSON)
    assert not admits('{"age":' + " " * 65 + "3}", json=PERSON), "it has an end, or else models write on"
    assert admits('{"age":3}', json=PERSON, disable_any_whitespace=True)
    assert not admits('{"age": 3}', json=PERSON, disable_any_whitespace=True)
    assert admits('{"age": 3}', json=PERSON, whitespace_pattern="[ ]?")
    assert not admits('{"age":\n3}', json=PERSON, whitespace_pattern="[ ]?")
    assert admits('{"age":\n3}', json={**PERSON, "x-guidance": {"whitespace_pattern": "\n"}})


def test_no_additional_properties() -> None:
    nested = {"type": "object", "properties": {"properties": PERSON}, "required": ["properties"]}
    assert admits('{"properties": {"age": 1, "b": 2}}', json=nested)
    assert admits('{"properties": {"age": 1}}', json=nested, disable_additional_properties=True)
    assert not admits('{"properties": {"age": 1, "b": 2}}', json=nested, disable_additional_properties=True)


COLORS = {"enum": ["red", "blue"]}


@pytest.mark.parametrize(
    "names", [COLORS, {"$ref": "#/$defs/Color"}, {"$ref": "#/$defs/Same"}, {"pattern": "^(red|blue)$"}]
)
def test_names_of_properties(names: dict[str, Any]) -> None:
    """As pydantic writes dict[Color, int]."""
    inner = {"type": "object", "propertyNames": names, "additionalProperties": {"type": "integer"}}
    schema = {
        "type": "object",
        "properties": {"propertyNames": inner},
        "required": ["propertyNames"],
        "$defs": {"Color": COLORS, "Same": {"$ref": "#/$defs/Color"}},
    }
    assert admits('{"propertyNames":{"red":1,"blue":2}}', json=schema)
    assert admits('{"propertyNames":{}}', json=schema)
    assert not admits('{"propertyNames":{"green":1}}', json=schema)
    assert not admits('{"propertyNames":{"red":"1"}}', json=schema)


def test_names_of_properties_that_cannot_be_listed_are_refused() -> None:
    for names in ({"maxLength": 3}, {"$ref": "#"}, {"$ref": "#/nowhere/x"}, True):
        assert "propertyNames" in refusal(json={"type": "object", "propertyNames": names})


def test_any_json_object() -> None:
    assert admits('{"a": [1, null]}', json_object=True)
    assert not admits("[1]", json_object=True)
    assert admits("[1]", json=True)


def test_formats_that_are_not_known_say_nothing() -> None:
    assert admits('"x"', json={"type": "string", "format": "binary"})
    assert not admits('"x"', json={"type": "string", "format": "uuid"})
    assert admits("[1,1]", json={"type": "array", "items": {"type": "integer"}, "uniqueItems": True})
    assert admits("1", json={"oneOf": [{"type": "integer"}, {"type": "number"}]})


def test_regex() -> None:
    assert admits("12/ab", regex=r"\d+/[a-z]{2}")
    assert admits("ab", regex="^ab$")
    assert not admits("abc", regex="^ab$")
    assert admits("ab$", regex=r"^ab\$")
    assert admits("é", regex="[é-í]")
    assert admits("a\nb", regex="a\nb")


def test_choice() -> None:
    texts = ["a", "ab", 'quo"te\\', "é\n", "it's /x/", ""]
    for text in texts:
        assert admits(text, choice=texts)
    assert not admits("b", choice=texts)
    assert not admits("", choice=["x"])


def test_lark_and_ebnf() -> None:
    assert admits("ab12", grammar='start: "a" WORD NUMBER\nWORD: /[a-z]+/\nNUMBER: /[0-9]+/')
    ebnf = 'root ::= "SELECT " column " FROM " [a-z]+\ncolumn ::= "a" | "b"'
    assert admits("SELECT b FROM t", grammar=ebnf)
    assert not admits("SELECT c FROM t", grammar=ebnf)


CALLS = {
    "structures": [
        {"begin": "<f=add>", "schema": {**PERSON, "additionalProperties": False}, "end": "</f>"},
        {"begin": "<f=say>", "schema": {"type": "string"}, "end": "</f>"},
    ],
    "triggers": ["<f="],
}


@pytest.mark.parametrize("tag", [CALLS, json.dumps(CALLS)])
def test_structural_tags_in_the_older_form(tag: object) -> None:
    for text in ("hello", 'say <f=add>{"age":1}</f> ok', '<f=say>"x"</f><f=add>{"age": 2}</f>', "a < b <f"):
        assert admits(text, structural_tag=tag)
    for text in ("<f=sub>", '<f=add>{"name":1}</f>', '<f=say>"x" and'):
        assert not admits(text, structural_tag=tag)


def test_structural_tags_in_the_newer_form() -> None:
    def form(**fields: Any) -> dict[str, Any]:
        return {"type": "structural_tag", "format": fields}

    call = {"begin": "<c>\n", "content": {"type": "json_schema", "json_schema": PERSON}, "end": "\n</c>"}
    once = form(
        type="triggered_tags", triggers=["<c>"], tags=[call], at_least_one=True, stop_after_first=True
    )
    assert admits('well <c>\n{"age":1}\n</c>', structural_tag=once)
    assert not admits("well", structural_tag=once)
    assert not admits('<c>\n{"age":1}\n</c> more', structural_tag=once)
    thinks = form(
        type="sequence",
        elements=[
            {"type": "const_string", "value": "<t>"},
            {"type": "any_text"},
            {"type": "const_string", "value": "</t>"},
            {"type": "or", "elements": [{"type": "regex", "pattern": "[0-9]+"}, {"type": "json_schema"}]},
        ],
    )
    assert admits("<t>a\nb</t>12", structural_tag=thinks)
    assert admits('<t></t>{"a": 1}', structural_tag=thinks)
    assert not admits("<t>a</t>xy", structural_tag=thinks)
    both = [
        {"begin": "<a>", "content": {"type": "any_text"}, "end": "</a>"},
        {"begin": "<b>", "content": {"type": "grammar", "grammar": 'start: "q"+'}, "end": ["</b>", "</B>"]},
    ]
    many = form(type="tags_with_separator", separator=",", tags=both)
    assert admits("", structural_tag=many)
    assert admits("<a>x y</a>,<b>qq</B>", structural_tag=many)
    assert not admits("<a>x</a><b>q</b>", structural_tag=many)


def nested(depth: int) -> str:
    return '{"type":"array","items":' * depth + "{}" + "}" * depth


def doubled(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema, "b": schema}}
    return schema


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        ({"json": "{"}, "not valid JSON"),
        ({"json": "[1]"}, "must be a JSON Schema"),
        ({"json": '{"type": "foo"}'}, "Invalid type: foo"),
        ({"json": {"$ref": "#/nowhere"}}, "does not exist"),
        ({"json": {"$ref": "http://example.com/schema"}}, "cannot be compiled"),
        ({"json": {"$ref": "#"}}, "no text meets it"),
        ({"json": {"type": "integer", "minimum": 5, "maximum": 3}}, "Unsatisfiable"),
        ({"json": {"not": {"type": "integer"}}}, "keywords that are not supported: not."),
        ({"json": {"type": "string", "pattern": "["}}, "unclosed character class"),
        ({"json": nested(2000)}, "nested too deeply"),
        (
            {"json": '{"properties":{"a":' * 490 + "{}" + "}}" * 490, "disable_additional_properties": True},
            "nested too deeply",
        ),
        ({"json": doubled(16)}, "characters; at most"),
        ({"json": {"enum": [f"{i}" * 8 for i in range(100_000)]}}, "characters; at most"),
        (
            {"json": {"allOf": [{"anyOf": [{"properties": {f"{i}": {"const": j}}} for j in range(10)]}
                                for i in range(12)]}},
            "too large",
        ),
        ({"json": {"const": "\ud800"}}, "not valid Unicode"),
        ({"regex": "[a-z"}, "unclosed character class"),
        ({"regex": "(?=a)b"}, "look-around"),
        ({"regex": "a" * 100_000}, "characters; at most"),
        ({"regex": "(" * 5000 + ")" * 5000}, "cannot be compiled"),
        ({"regex": "(a{1,1000}){1,1000}"}, "too complex"),
        ({"regex": ".*" * 1000}, "too complex"),
        ({"regex": "\ud800"}, "lone surrogates"),
        ({"choice": ["\ud800"]}, "lone surrogates"),
        ({"choice": [str(i) for i in range(20_000)]}, "at most 10,000"),
        ({"choice": ["x" * 300_000]}, "characters; at most"),
        ({"grammar": "start: nope"}, "unknown name"),
        ({"grammar": "foo: "}, "cannot be compiled"),
        ({"grammar": 'root ::= "a'}, "EBNF"),
        ({"grammar": "root ::= " + "(" * 3000 + '"a"' + ")" * 3000}, "EBNF"),
        ({"grammar": "x" * 100_000}, "characters; at most"),
        ({"json_object": True, "whitespace_pattern": "["}, "unclosed character class"),
        ({"structural_tag": "["}, "not valid JSON"),
        ({"structural_tag": {}}, "needs `format`"),
        ({"structural_tag": {"format": {"type": "qwen_xml_parameter"}}}, "not supported"),
        ({"structural_tag": {"structures": [{"begin": "x"}], "triggers": ["y"]}}, "starts with no trigger"),
        ({"structural_tag": {"structures": [], "triggers": []}}, "not empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_compiled_is_refused_in_one_line(constraint: dict[str, Any], said: str) -> None:
    assert said in refusal(**constraint)


def test_exactly_one_kind_is_given() -> None:
    with pytest.raises(ParameterError, match=r"only use one kind .* json, regex"):
        StructuredOutputsParams(json={}, regex="a")
    with pytest.raises(ParameterError, match="none is given"):
        StructuredOutputsParams(json_object=False)
    with pytest.raises(ParameterError, match="must not be empty"):
        StructuredOutputsParams(choice=())
    with pytest.raises(ParameterError, match=r"structured_outputs\.regex must be a string"):
        StructuredOutputsParams(regex=5)  # type: ignore[arg-type]


def test_parameters_take_constraints_in_older_spellings_and_as_mappings() -> None:
    wanted = StructuredOutputsParams(choice=("a",))
    assert SamplingParams(guided_decoding=wanted).structured_outputs == wanted
    assert SamplingParams(structured_outputs={"choice": ["a"]}).structured_outputs == wanted  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="structured_outputs cannot be used"):
        SamplingParams(structured_outputs={"choices": ["a"]})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        # Pydantic's Decimal, and one of five digits with two behind the point
        (r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$", ["1", "-1.50", "+.5", "7.", "007"], ["", "-", ".", "1e3"]),
        (
            r"^(?!^[-+.]*$)[+-]?0*(?:\d{0,3}|(?=[\d.]{1,6}0*$)\d{0,3}\.\d{0,2}0*$)",
            ["123.45", "-1", "0.5"],
            ["x", "1.x"],
        ),
        (r"^(?=.*\d)[a-z\d]{2,3}$", ["a1", "abc"], ["a", "abcd"]),
        (r"^[](?!)]\((?<!a)b\)$", ["](b)", "!(b)"], ["b"]),
    ],
)
def test_patterns_with_look_around(pattern: str, good: list[str], bad: list[str]) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": pattern}},
        "required": ["a"],
    }
    for text in good:
        assert admits(json.dumps({"a": text}), json=schema)
    for text in bad:
        assert not admits(json.dumps({"a": text}), json=schema)
