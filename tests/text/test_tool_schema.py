from __future__ import annotations

from typing import Any

import pytest

from pagoda.text.answers import UnknownParserError, check_parser, detect_parsers, keeps_special_tokens
from pagoda.text.tool_schema import (
    NamedTool,
    ToolError,
    check_tool_choice,
    check_tools,
    tool_choice_schema,
)


def tool(name: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


LINKED = {
    "type": "object",
    "properties": {"first": {"$ref": "#/$defs/Node"}, "again": {"$ref": "#/properties/first"}},
    "required": ["first"],
    "$defs": {
        "Node": {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"]}
    },
}
OTHER = {"type": "object", "properties": {"n": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": {"type": "null"}}}


@pytest.mark.parametrize(
    "tools",
    [
        [],
        "f",
        [1],
        [{"type": "web_search"}],
        [{"type": "function"}],
        [tool("")],
        [tool("f", [])],  # type: ignore[arg-type]
        [{"type": "function", "function": {"name": "f", "description": 1}}],
    ],
)
def test_tools_that_cannot_be_served(tools: Any) -> None:
    with pytest.raises(ToolError) as caught:
        check_tools(tools)
    assert caught.value.parameter == "tools"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("choice", "tools", "expected"),
    [
        (None, None, "none"),
        (None, [tool("f")], "auto"),
        ("auto", None, "none"),
        ("none", [tool("f")], "none"),
        ("required", [tool("f")], "required"),
        ({"type": "function", "function": {"name": "f"}}, [tool("f")], NamedTool("f")),
        ({"type": "function", "name": "f"}, [tool("f")], NamedTool("f")),
    ],
)
def test_choices(choice: Any, tools: Any, expected: Any) -> None:
    assert check_tool_choice(choice, check_tools(tools)) == expected


@pytest.mark.parametrize(
    ("choice", "tools"),
    [
        ("required", None),
        ("any", [tool("f")]),
        ({"type": "function", "function": {"name": "g"}}, [tool("f")]),
        ({"type": "function", "function": {"name": "f"}}, None),
        ({"type": "function", "function": {}}, [tool("f")]),
        ({"type": "custom"}, [tool("f")]),
        (5, [tool("f")]),
    ],
)
def test_choices_that_cannot_be_made(choice: Any, tools: Any) -> None:
    with pytest.raises(ToolError) as caught:
        check_tool_choice(choice, tools)
    assert caught.value.parameter == "tool_choice"


def test_schema_of_required_calls() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = tool_choice_schema([tool("linked", LINKED), tool("other", OTHER), tool("bare")], "required")
    good = [
        [{"name": "linked", "parameters": {"first": {"value": 1}, "again": {"value": 2}}}],
        [{"name": "other", "parameters": {"n": None}}, {"name": "bare", "parameters": {}}],
    ]
    bad = [
        [],
        [{"name": "nobody", "parameters": {}}],
        [{"name": "linked", "parameters": {"first": {"value": "1"}}}],
        [{"name": "other", "parameters": {"n": {"value": 1}}}],
        [{"name": "bare", "parameters": {"x": 1}}],
        [{"name": "bare"}],
    ]
    checker = jsonschema.Draft202012Validator(schema)
    assert [checker.is_valid(each) for each in good] == [True] * len(good)
    assert [checker.is_valid(each) for each in bad] == [False] * len(bad)
    single = jsonschema.Draft202012Validator(tool_choice_schema([tool("bare")], "required", parallel=False))
    assert not single.is_valid([{"name": "bare", "parameters": {}}] * 2)


def test_a_schema_with_a_name_in_the_world_refers_to_its_own_parts() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    named = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "https://example.org/schema",
        "type": "object",
        "properties": {"a": {"$ref": "#/definitions/A"}, "$id": {"type": "integer"}},
        "definitions": {"A": {"type": "string"}},
    }
    checker = jsonschema.Draft202012Validator(tool_choice_schema([tool("f", named)], "required"))
    assert checker.is_valid([{"name": "f", "parameters": {"a": "x", "$id": 1}}])
    assert not checker.is_valid([{"name": "f", "parameters": {"a": 1}}])
    assert not checker.is_valid([{"name": "f", "parameters": {"$id": "x"}}])
    assert "$id" not in (tool_choice_schema([tool("f", named)], NamedTool("f")) or {})


def test_a_schema_nested_too_deeply() -> None:
    parameters: dict[str, Any] = {}
    for _ in range(5000):
        parameters = {"type": "object", "properties": {"a": parameters}}
    with pytest.raises(ToolError, match=r"tools\[0\].function.parameters is nested too deeply"):
        check_tools([tool("f", parameters)])
    parameters = {}
    for _ in range(100):
        parameters = {"type": "object", "properties": {"a": parameters}}
    tools = check_tools([tool("f", parameters)])
    assert tools is not None
    assert tool_choice_schema(tools, "required") is not None


def test_schema_of_a_named_call_is_that_of_its_parameters() -> None:
    assert tool_choice_schema([tool("linked", LINKED)], NamedTool("linked")) == LINKED
    assert tool_choice_schema([tool("f")], "auto") is None
    assert tool_choice_schema([tool("f")], "none") is None


def test_schemas_compile_to_grammars() -> None:
    llguidance = pytest.importorskip("llguidance")
    tools = [tool("linked", LINKED), tool("other", OTHER), tool("bare")]
    for choice in ("required", NamedTool("linked"), NamedTool("bare")):
        grammar = llguidance.LLMatcher.grammar_from_json_schema(tool_choice_schema(tools, choice))  # type: ignore[arg-type]
        assert llguidance.LLMatcher.validate_grammar(grammar) == ""


def test_parsers_have_names() -> None:
    assert check_parser("tool", "hermes") == "hermes"
    assert check_parser("reasoning", "none") is None
    assert check_parser("reasoning", "") is None
    with pytest.raises(UnknownParserError, match="use one of deepseek_r1, qwen3"):
        check_parser("reasoning", "qwen4")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ '<think>\\n\\n</think>' if enable_thinking is false }} <tool_call>", ("qwen3", "hermes")),
        ("{{ '<|im_start|>assistant\\n<think>\\n' }} '</think>' <tool_call>", ("deepseek_r1", "hermes")),
        ("<tool_call>\n<function=example>", (None, "qwen3_coder")),
        ("[TOOL_CALLS]", (None, "mistral")),
        ("<|python_tag|>", (None, "llama3_json")),
        ("<tool_call>{name}\n<arg_key>{key}</arg_key>", (None, None)),
        ("{{ messages }}", (None, None)),
    ],
)
def test_parsers_are_told_from_templates(template: str, expected: tuple[str | None, str | None]) -> None:
    assert detect_parsers(template) == expected


def test_markers_that_are_special_tokens_must_be_kept() -> None:
    special = {"[TOOL_CALLS]", "<think>"}.__contains__
    assert keeps_special_tokens(None, "mistral", special)
    assert keeps_special_tokens("qwen3", None, special)
    assert not keeps_special_tokens("none", "hermes", special)
