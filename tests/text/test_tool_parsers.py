from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.text.pieces import (
    Call,
    Message,
    cut,
    damaged,
    json_objects,
    parser,
    places,
    plain_text,
    read,
)

from pagoda.text.tool_schema import NamedTool, ToolChoice
from pagoda.text.tools.coercion import value_types

FORMATS = ("hermes", "llama3_json", "mistral", "qwen3_coder")
NAMES = ("get_weather", "list_files")
SPACE = " \t\r\n"
dumped = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent),
    json_objects,
    st.booleans(),
    st.sampled_from((None, 2)),
)
arguments = dumped.map(lambda text: (text, json.loads(text)))
calls = st.tuples(st.sampled_from(NAMES), arguments)

# For each parser: how it writes a call, what separates calls, and marks to damage its output with.
WRITERS: dict[str, Any] = {
    "hermes": lambda name, text: f'<tool_call>\n{{"name": "{name}", "arguments": {text}}}\n</tool_call>',
    "llama3_json": lambda name, text: f'{{"name": "{name}", "parameters": {text}}}',
    "mistral": lambda name, text: f"[TOOL_CALLS]{name}{text}",
}
SEPARATORS = {"hermes": "\n", "llama3_json": "; ", "mistral": ""}
MARKS = (
    *(
        "<tool_call>",
        "</tool_call>",
        "<function=list_files>",
        "</function>",
        "<parameter=city>",
        "</parameter>",
    ),
    *(
        '{"name": "list_files", "arguments": {',
        "[TOOL_CALLS]",
        "[ARGS]",
        "<|python_tag|>",
        "<tool_c",
        "</tool_",
    ),
    *(" " * 70, " " * 300, "x" * 300, "x" * 600, f'{{"{"k" * 520}"'),  # beyond what is held back
    *(" ", "\n", "x", " x", "\n x", '"x"', ":", "[", ";", "<", "</"),
    *('"', "}", "{", "\\", "\n\n", "]", ",", '{"arguments": {}', "\\u12", ": null"),
)


def xml_call(name: str, values: dict[str, str]) -> str:
    parts = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
    return f"<tool_call>\n<function={name}>\n{parts}</function>\n</tool_call>"


xml_text = st.text(st.sampled_from("ab 你\n\"'\\{}<>"), max_size=10)
xml_calls = st.builds(
    xml_call,
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(("city", "days", "options", "note", "other")), xml_text, max_size=3),
)


def outputs(name: str) -> st.SearchStrategy[str]:
    if name == "qwen3_coder":
        call: st.SearchStrategy[str] = xml_calls
    else:
        call = calls.map(lambda drawn: WRITERS[name](drawn[0], drawn[1][0]))
    if name == "mistral":
        entry = calls.map(lambda drawn: f'{{"name": "{drawn[0]}", "arguments": {drawn[1][0]}}}')
        call |= st.lists(entry, max_size=2).map(lambda entries: f"[TOOL_CALLS] [{', '.join(entries)}]")
    return st.lists(call | plain_text, max_size=4).map("".join)


def whole(text: str, name: str, **options: Any) -> Message:
    return read(parser(name, **options), [text])


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60)
@given(data=st.data())
def test_any_chunking_gives_the_same(name: str, data: st.DataObject) -> None:
    text = data.draw(damaged(outputs(name), MARKS))
    expected = whole(text, name)
    assert read(parser(name), list(text)) == expected
    assert read(parser(name), cut(text, data.draw(places))) == expected


@pytest.mark.parametrize("choice", ["required", NamedTool("get_weather")])
@settings(max_examples=40)
@given(data=st.data())
def test_any_chunking_of_a_forced_call_gives_the_same(choice: ToolChoice, data: st.DataObject) -> None:
    entries = calls.map(lambda drawn: f'{{"name": "{drawn[0]}", "parameters": {drawn[1][0]}}}')
    listed = st.lists(entries, max_size=3).map(lambda each: f"[{', '.join(each)}]")
    text = data.draw(damaged(listed | dumped | plain_text, MARKS))
    expected = whole(text, "hermes", tool_choice=choice)
    assert read(parser("hermes", tool_choice=choice), list(text)) == expected
    assert read(parser("hermes", tool_choice=choice), cut(text, data.draw(places))) == expected


@pytest.mark.parametrize("name", list(WRITERS))
@settings(max_examples=40)
@given(
    before=st.sampled_from(("", "Let me see.", "好的\n\n")), wanted=st.lists(calls, min_size=1, max_size=3)
)
def test_calls_come_out_as_they_were_meant(
    name: str, before: str, wanted: list[tuple[str, tuple[str, Any]]]
) -> None:
    text = before + SEPARATORS[name].join(WRITERS[name](tool, text) for tool, (text, _) in wanted)
    message = whole(text, name)
    assert [(call.name, json.loads(call.arguments)) for call in message.calls] == [
        (tool, value) for tool, (_, value) in wanted
    ]
    assert message.content == before.rstrip(SPACE)


@pytest.mark.parametrize("name", list(WRITERS))
@settings(max_examples=40)
@given(call=calls, place=st.integers(0, 10_000))
def test_what_breaks_off_is_never_a_whole_call(
    name: str, call: tuple[str, tuple[str, Any]], place: int
) -> None:
    tool, (text, value) = call
    output = WRITERS[name](tool, text)
    message = whole(output[: place % len(output)], name)
    for found in message.calls:
        try:
            parsed = json.loads(found.arguments)
        except ValueError:
            continue
        assert parsed == value


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40)
@given(text=st.text(st.sampled_from('ab \n你好<>/"'), max_size=60))
def test_text_without_calls_is_content_to_the_letter(name: str, text: str) -> None:
    assert whole(text, name) == Message(content=text)


@pytest.mark.parametrize("name", FORMATS)
def test_text_flows_at_once(name: str) -> None:
    answer = parser(name)
    pieces = ("The", " sum", " is 5 ", "and 6.")
    assert [answer.push(piece).content for piece in pieces] == ["The", " sum", " is 5", " and 6."]


def test_arguments_flow_as_they_come() -> None:
    answer = parser("hermes")
    answer.push('<tool_call>\n{"name": "get_weather", "arguments": ')
    assert [
        answer.push(piece).tool_calls[0].arguments for piece in ('{"city', '": "Par', "is 北", "京 and")
    ] == [
        '{"city',
        '": "Par',
        "is 北",
        "京 and",
    ]


def hermes(text: str) -> list[tuple[str, str]]:
    return [(call.name, call.arguments) for call in whole(text, "hermes").calls]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"name": "list_files"}', "{}"),
        ('{"name": "list_files", "arguments": {}}', "{}"),
        ('{"name": "list_files", "arguments": null}', "{}"),
        ('{"name": "list_files", "arguments": ""}', "{}"),
        ('{"arguments": {"city": "北京"}, "name": "list_files"}', '{"city": "北京"}'),
        ('{"name": "list_files", "arguments": "{\\"a\\": 1}"}', '{"a": 1}'),
        ('{"name": "list_files", "arguments": {"a": 1}', '{"a": 1}'),  # the outer bracket is missing
        ('{"name": "list_files", "arguments": {"a": 1}}}', '{"a": 1}'),  # or there twice
        ('{"name": "list_files", "arguments": {"a": {"b": 1}', '{"a": {"b": 1}}'),
        ('{"name": "list_files", "arguments": {"a": "x', '{"a": "x"}'),  # ended, so closed
        ('{"name": "list_files", "arguments": {"a": "echo "hi" | wc"}}', '{"a": "echo \\"hi\\" | wc"}'),
        ('{"name": "list_files", "arguments": {"a": "two\nlines"}}', '{"a": "two\\nlines"}'),
        ('{"name": "list_files", "arguments": {"a": "\\d+ \\\'x\\\'"}}', '{"a": "\\\\d+ \'x\'"}'),
        (
            '{"name": "list_files", "arguments": {"a": "</tool_call> is a tag"}}',
            '{"a": "</tool_call> is a tag"}',
        ),
    ],
)
def test_hermes_arguments(body: str, expected: str) -> None:
    message = whole(f"<tool_call>\n{body}</tool_call>", "hermes")
    assert [(call.name, call.arguments) for call in message.calls] == [("list_files", expected)]
    assert message.content == ""


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>\nlist_files()\n</tool_call>",
        '<tool_call>\n{"name": "list_fi',
        '<tool_call>\n{"name": "list_files", "argu',
        '<tool_call>\n{"arguments": {"a": 1}}\n</tool_call>',
        '<tool_call>\n{"name": ["list_files"]}\n</tool_call>',
        "A <tool_call> tag, mentioned.",
        "It ends with <tool_call>",
    ],
)
def test_hermes_without_a_call_is_content_as_written(text: str) -> None:
    assert whole(text, "hermes") == Message(content=text)


def test_hermes_end_tags_may_be_missing() -> None:
    call = '<tool_call>\n{"name": "list_files", "arguments": {"a": 1}}'
    assert hermes(call) == [("list_files", '{"a": 1}')]
    assert hermes(f"{call}\n{call}\n</tool_call>") == [("list_files", '{"a": 1}')] * 2


def test_hermes_several_objects_between_one_pair_of_tags() -> None:
    first, second = (f'{{"name": "list_files", "arguments": {{"a": {number}}}}}' for number in (1, 2))
    assert whole(f"<tool_call>\n{first}\n{second}\n</tool_call>", "hermes") == Message(
        calls=[Call("call-0", "list_files", '{"a": 1}'), Call("call-1", "list_files", '{"a": 2}')]
    )
    message = whole(f"<tool_call>{first}\n{{x}}</tool_call>", "hermes")
    assert (len(message.calls), message.content) == (1, "\n{x}</tool_call>")


def test_text_between_calls_and_after_them_is_content() -> None:
    call = '<tool_call>\n{"name": "list_files", "arguments": {}}\n</tool_call>'
    message = whole(f"One.\n{call}\nTwo.\n\n{call}\nThree.\n", "hermes")
    assert (message.content, len(message.calls)) == ("One.\nTwo.\nThree.\n", 2)


def test_only_the_first_call_without_parallel_calls() -> None:
    call = '<tool_call>\n{"name": "list_files", "arguments": {}}\n</tool_call>'
    assert len(whole(call + call, "hermes", parallel=False).calls) == 1


def coder(body: str) -> Message:
    return whole(f"<tool_call>\n<function=get_weather>\n{body}\n</function>\n</tool_call>", "qwen3_coder")


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        ("city", "\nParis\n", "Paris"),
        ("city", "\n\nParis \n\n", "\nParis \n"),
        ("city", "null", "null"),
        ("city", "", ""),
        ("city", '\nif a < b: print("\\n")\n', 'if a < b: print("\\n")'),
        ("unknown", "\n5\n", "5"),
        ("days", "\n5\n", 5),
        ("days", "-3.0", -3),
        ("days", "soon", "soon"),
        ("days", "null", None),
        ("scale", "1.50", 1.5),
        ("scale", "1e3", 1000),
        ("wind", "True", True),
        ("wind", "maybe", "maybe"),
        ("options", '\n{"a": [1, "二"]}\n', {"a": [1, "二"]}),
        ("options", "{'a': True, 'b': None}", {"a": True, "b": None}),
        ("options", "{broken", "{broken"),
        ("options", '{"a": NaN}', '{"a": NaN}'),  # no JSON
        ("options", '{"a": 1e999}', '{"a": 1e999}'),
        ("options", '{"a": "\\ud83d"}', {"a": "\ud83d"}),
        ("options", "[" * 100_000, "[" * 100_000),
        ("options", '["a"]', '["a"]'),  # a list is no object
        ("tags", '["a"]', ["a"]),
        ("note", "null", None),
        ("note", "no", "no"),
    ],
)
def test_qwen3_coder_values_follow_the_schema(parameter: str, value: str, expected: Any) -> None:
    [call] = coder(f"<parameter={parameter}>{value}</parameter>").calls
    assert json.loads(call.arguments) == {parameter: expected}


def test_types_are_found_through_references_that_go_in_circles() -> None:
    root = {
        "$defs": {
            "A": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}] * 50},
            "B": {"oneOf": [{"type": "integer"}, {"$ref": "#/$defs/A"}, {"enum": ["x", None]}]},
        }
    }
    assert value_types({"$ref": "#/$defs/A"}, root) == {"integer", "string", "null"}
    chain = {"$defs": {str(index): {"$ref": f"#/$defs/{index + 1}"} for index in range(10_000)}}
    assert value_types({"$ref": "#/$defs/0"}, chain) == frozenset()
    assert value_types({"$ref": "#/$defs/none"}, root) == frozenset()
    assert value_types({"allOf": [{"type": ["number", "null"]}]}, root) == {"number", "null"}


def test_qwen3_coder_strings_flow_as_they_come() -> None:
    answer = parser("qwen3_xml")
    answer.push("<tool_call>\n<function=get_weather>\n<parameter=city>\n")
    assert [answer.push(piece).tool_calls[0].arguments for piece in ("Par", 'is "北', "京\nx")] == [
        "Par",
        'is \\"北',
        "京\\nx",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<function=list_files>\n</function>",
        "<tool_call>\n<function=list_files>\n</tool_call>",
        "<tool_call>\n<function=list_files>\n</function>\n</tool_call>\n",
    ],
)
def test_qwen3_coder_tags_may_be_missing(text: str) -> None:
    message = whole(text, "qwen3_coder")
    assert [(call.name, call.arguments) for call in message.calls] == [("list_files", "{}")]
    assert message.content == ""


def test_qwen3_coder_ends_of_parameters_may_be_missing() -> None:
    [call] = coder("<parameter=city>\nParis\n<parameter=days>\n3").calls
    assert json.loads(call.arguments) == {"city": "Paris", "days": 3}
    [call] = whole("<function=get_weather>\n<parameter=city>\nParis\n</parameter>", "qwen3_coder").calls
    assert json.loads(call.arguments) == {"city": "Paris"}


def test_qwen3_coder_text_that_breaks_off_leaves_arguments_open() -> None:
    [call] = whole("<function=get_weather>\n<parameter=city>\nPari", "qwen3_coder").calls
    assert call.arguments == '{"city": "Pari'


def test_llama_json_that_names_no_tool_is_content() -> None:
    for text in ('{"name": "Bob", "age": 3}', 'Use {"a": 1} or { x }.', "{", '{"name": "list_files"'):
        assert whole(text, "llama3_json") == Message(content=text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[TOOL_CALLS] [{"name": "list_files", "arguments": {}}]', ["{}"]),
        (
            '[TOOL_CALLS][{"name": "list_files", "arguments": {"a": 1}, "id": "abc"},\n'
            ' {"name": "list_files", "arguments": {}}]',
            ['{"a": 1}', "{}"],
        ),
        ("[TOOL_CALLS]list_files[ARGS]{}[TOOL_CALLS]list_files[ARGS]{}", ["{}", "{}"]),
        ('[TOOL_CALLS]list_files[CALL_ID]123456789[ARGS]{"a": 1}', ['{"a": 1}']),
        ('[TOOL_CALLS]list_files{"a": "}"}', ['{"a": "}"}']),
    ],
)
def test_mistral_forms(text: str, expected: list[str]) -> None:
    message = whole(text, "mistral")
    assert [call.arguments for call in message.calls] == expected
    assert message.content == ""
    assert all(len(call.id) == 9 and call.id.isalnum() for call in message.calls)


def test_forced_calls() -> None:
    listed = '[{"name": "list_files", "parameters": {"a": 1}}, {"name": "list_files", "parameters": {}}]'
    message = whole(listed, "hermes", tool_choice="required")
    assert [(call.name, call.arguments) for call in message.calls] == [
        ("list_files", '{"a": 1}'),
        ("list_files", "{}"),
    ]
    message = whole('\n{"a": 1}\n', "hermes", tool_choice=NamedTool("list_files"))
    assert [(call.name, call.arguments) for call in message.calls] == [("list_files", '{"a": 1}')]
    assert message.content == ""


def test_choosing_no_tool_leaves_the_text_alone() -> None:
    text = '<tool_call>\n{"name": "list_files", "arguments": {}}\n</tool_call>'
    assert whole(text, "hermes", tool_choice="none") == Message(content=text)
