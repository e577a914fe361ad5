"""The parts of the Responses API: items, tools, output, the store."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseItemList, ResponseOutputItem, ResponseStreamEvent
from pydantic import TypeAdapter

from pagoda.api.errors import ApiError
from pagoda.api.responses_api.items import Item, chat_messages, input_items
from pagoda.api.responses_api.output import Event, OutputBuilder, freeform_input
from pagoda.api.responses_api.sealed import seal, unseal
from pagoda.api.responses_api.tools import read_tools
from pagoda.text.parsing import MessageDelta, ToolCallDelta

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
OUTPUT: TypeAdapter[Any] = TypeAdapter(list[ResponseOutputItem])


def nothing(item_id: str) -> Item:
    raise AssertionError(f"{item_id} is not asked for")


def messages(given: Any, instructions: str | None = None) -> list[dict[str, Any]]:
    return chat_messages(instructions, input_items(given, nothing))


def test_a_text_is_a_message_of_the_user() -> None:
    assert messages("hi", "Be kind.") == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hi"},
    ]


def test_items_are_completed_and_valid() -> None:
    given = [
        {"role": "user", "content": "Weather?"},
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1"},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Sun."}]},
    ]
    items = input_items(given, nothing)
    assert len({item["id"] for item in items}) == len(items)
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"], "has_more": False, "object": "list"}
    ResponseItemList.model_validate({"data": items, **ends})


def test_what_an_assistant_did_in_one_turn_is_one_message() -> None:
    call = {"type": "function_call", "name": "f", "arguments": '{"a": 1}'}
    found = messages(
        [
            {"role": "user", "content": "Go"},
            {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]},
            {"role": "assistant", "content": "I look."},
            {**call, "call_id": "1"},
            {**call, "call_id": "2"},
            {"type": "function_call_output", "call_id": "1", "output": "one"},
            {
                "type": "function_call_output",
                "call_id": "2",
                "output": [{"type": "input_text", "text": "two"}],
            },
            {"role": "assistant", "content": "Done."},
        ]
    )
    function = {"name": "f", "arguments": '{"a": 1}'}
    assert found == [
        {"role": "user", "content": "Go"},
        {
            "role": "assistant",
            "content": "I look.",
            "reasoning": "Hm.",
            "tool_calls": [{"id": number, "type": "function", "function": function} for number in "12"],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "2", "content": "two"},
        {"role": "assistant", "content": "Done."},
    ]


def test_instructions_and_leading_system_messages_are_one() -> None:
    given = [
        {"role": "developer", "content": "B"},
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": "C"},
    ]
    assert messages(given, "A") == [
        {"role": "system", "content": "A\n\nB"},
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": "C"},
    ]


def test_items_of_codex_are_read() -> None:
    """Custom tools, items of OpenAI's own tools, sealed reasoning, arguments that are no JSON."""
    found = messages(
        [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "fix"}]},
            {"type": "reasoning", "summary": [], "content": None, "encrypted_content": seal("Think.")},
            {"type": "web_search_call", "status": "completed", "action": {}},
            {"type": "custom_tool_call", "name": "apply_patch", "call_id": "p", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "p", "output": "ok"},
            {"type": "function_call", "name": "f", "call_id": "q", "arguments": '{"broken'},
            {"type": "function_call_output", "call_id": "q", "output": {"any": "thing"}},
        ]
    )
    assert [message["role"] for message in found] == ["user", "assistant", "tool", "assistant", "tool"]
    assert found[1]["reasoning"] == "Think."
    assert json.loads(found[1]["tool_calls"][0]["function"]["arguments"]) == {"input": "*** Begin"}
    assert json.loads(found[3]["tool_calls"][0]["function"]["arguments"]) == {"input": '{"broken'}
    assert found[4]["content"] == '{"any": "thing"}'


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([{"role": "wizard", "content": "x"}], "input[0].role is 'wizard'"),
        ([{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}], "reads text only"),
        ([{"role": "user", "content": 5}], "must be a text or a list"),
        ([7], "must be an object"),
        ([{"content": "x"}], "needs a type"),
        ([{"type": "function_call", "arguments": "{}"}], "without a name"),
        ([{"type": "function_call_output", "output": "x"}], "without a call_id"),
    ],
)
def test_items_that_cannot_be_read_are_refused(given: list[Any], words: str) -> None:
    with pytest.raises(ApiError, match=words.replace("[", r"\[")) as caught:
        input_items(given, nothing)
    assert caught.value.status_code == 400
    assert caught.value.param == "input"


def test_reasoning_of_others_stays_sealed() -> None:
    assert unseal(seal("Grüße 你好")) == "Grüße 你好"
    for foreign in ("gAAAAABo", "pagoda1.é", "pagoda1.a", None, 3):
        assert unseal(foreign) == ""


def test_tools_that_only_openai_can_run_are_left_out() -> None:
    function = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    custom = {
        "type": "custom",
        "name": "patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": "s"},
    }
    space = {"type": "namespace", "name": "mcp", "description": "", "tools": [{**function, "name": "g"}]}
    tools = read_tools([function, custom, space, {"type": "local_shell"}, {"type": "web_search"}], "auto")
    assert [tool["function"]["name"] for tool in tools.chat] == ["f", "patch", "g"]
    assert tools.custom == {"patch"}
    assert tools.namespaces == {"g": "mcp"}
    assert "lark grammar" in tools.chat[1]["function"]["description"]
    assert [tool["type"] for tool in tools.shown] == ["function", "custom", "namespace"]
    nothing_left = read_tools([{"type": "web_search"}], "required")
    assert nothing_left.chat == []
    assert nothing_left.choice is None


def test_choices_of_tools() -> None:
    both = [{"type": "function", "name": name, "parameters": None} for name in "fg"]
    named = {"type": "function", "function": {"name": "f"}}
    assert read_tools(both, {"type": "function", "name": "f"}).choice == named
    assert read_tools(both, None).choice is None
    assert read_tools(both, "none").choice == "none"
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    chosen = read_tools(both, allowed)
    assert chosen.choice == "required"
    assert [tool["function"]["name"] for tool in chosen.chat] == ["g"]
    assert len(chosen.shown) == 2
    for wrong in ("maybe", {"type": "function"}):
        with pytest.raises(ApiError, match="tool_choice"):
            read_tools(both, wrong)
    with pytest.raises(ApiError, match="needs tools"):
        read_tools([], "required")


DELTAS = st.lists(
    st.builds(
        MessageDelta,
        reasoning=st.text("ab \n", max_size=3),
        content=st.text("xy \n", max_size=3),
        tool_calls=st.lists(
            st.builds(
                ToolCallDelta,
                index=st.integers(0, 1),
                id=st.just("call"),
                name=st.sampled_from(["f", "patch"]),
                arguments=st.sampled_from(['{"input"', ': "x"}', ""]),
            ),
            max_size=1,
        ),
    ),
    max_size=8,
)


@given(deltas=DELTAS, complete=st.booleans(), summary=st.booleans())
def test_events_put_together_are_the_output(
    deltas: list[MessageDelta], complete: bool, summary: bool
) -> None:
    builder = OutputBuilder(custom={"patch"}, sealed=True, summary=summary)
    events: list[Event] = []
    for delta in deltas:
        events += builder.push(delta)
    events += builder.finish(complete=complete)
    OUTPUT.validate_python(builder.items)
    grown: dict[int, str] = {}
    summed: dict[int, str] = {}
    done: list[dict[str, Any]] = []
    for number, event in enumerate(events):
        kind = event["type"]
        EVENT.validate_python({**event, "sequence_number": number})
        if kind == "response.output_item.added":
            assert event["output_index"] == len(done), "one item at a time"
            grown[event["output_index"]] = summed[event["output_index"]] = ""
        elif kind == "response.reasoning_summary_text.delta":
            summed[event["output_index"]] += event["delta"]
        elif kind.endswith(".delta"):
            grown[event["output_index"]] += event["delta"]
        elif kind == "response.output_item.done":
            done.append(event["item"])
    assert done == builder.items
    for place, item in enumerate(done):
        assert grown[place] == _text(item)
        assert summed[place] == "".join(part["text"] for part in item.get("summary", ()))
        assert not summed[place] or summed[place] == grown[place]
        assert item["status"] == "completed" or (place == len(done) - 1 and not complete)
    for name, kind in (("reasoning", "reasoning"), ("content", "message")):
        kept = "".join(_text(item) for item in done if item["type"] == kind)
        assert _squeezed(kept) == _squeezed("".join(getattr(delta, name) for delta in deltas))


def _text(item: dict[str, Any]) -> str:
    if item["type"] in ("reasoning", "message"):
        return "".join(part["text"] for part in item["content"])
    return str(item["arguments"] if item["type"] == "function_call" else item["input"])


def _squeezed(text: str) -> str:
    return "".join(text.split())


def test_white_space_between_reasoning_and_calls_is_no_message() -> None:
    builder = OutputBuilder()
    builder.push(MessageDelta(reasoning="\nHm.\n", content="\n\n"))
    builder.push(MessageDelta(tool_calls=[ToolCallDelta(0, "c", "f", "{}")]))
    builder.finish()
    assert [item["type"] for item in builder.items] == ["reasoning", "function_call"]


def test_log_probabilities_are_those_of_the_message() -> None:
    builder = OutputBuilder(logprobs=True)
    builder.push(MessageDelta(reasoning="Hm."), {"content": [{"token": "Hm."}]})
    builder.push(MessageDelta(), {"content": [{"token": "</think>"}]})
    builder.push(MessageDelta(content="4"), {"content": [{"token": "4"}]})
    builder.push(MessageDelta(content="2"), {"content": [{"token": "2"}]})
    builder.finish()
    shown = builder.items[1]["content"][0]["logprobs"]
    assert [entry["token"] for entry in shown][-2:] == ["4", "2"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [('{"input": "x\\ny"}', "x\ny"), ('{"patch": "p"}', "p"), ('"t"', "t"), ("{cut", "{cut"), ("{}", "{}")],
)
def test_input_of_custom_tools(arguments: str, expected: str) -> None:
    assert freeform_input(arguments) == expected
