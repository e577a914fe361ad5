"""What the real Qwen templates write of an assistant's message, the parsers read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.text.pieces import TOOLS, Message, cut, parser, places, read

from pagoda.text.answers import detect_parsers
from pagoda.text.chat_template import ChatTemplate
from pagoda.text.messages import prepare_messages

TEMPLATES = Path(__file__).resolve().parents[3] / "shared" / "tokenizers"
QUESTION = {"role": "user", "content": "How is the weather?"}

prose = st.text(st.sampled_from("ab 你好.,\n\"'{}<>/"), min_size=1, max_size=30).map(str.strip).filter(bool)
values = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.integers()
    | st.booleans()
    | st.none(),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("xy你", max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)
calls = st.lists(
    st.tuples(
        st.sampled_from(("get_weather", "list_files")),
        st.dictionaries(st.text("ab你", max_size=3), values, max_size=3),
    ),
    max_size=3,
)


def template(name: str) -> ChatTemplate:
    file = TEMPLATES / f"{name}.jinja"
    if not file.is_file():
        pytest.skip(f"needs the real Qwen templates: there is no {file}")
    return ChatTemplate(file.read_text("utf-8"))


def written(rendered: ChatTemplate, message: dict[str, Any]) -> str:
    """What the model writes for this message to come after QUESTION."""
    text = rendered.render(prepare_messages([QUESTION, message]), tools=TOOLS, add_generation_prompt=False)
    answer = text.rsplit("<|im_start|>assistant", 1)[1]
    return answer.removeprefix("\n").removesuffix("\n").removesuffix("<|im_end|>")


def message_of(found: Message) -> dict[str, Any]:
    """The message as a client sends it back."""
    message: dict[str, Any] = {"role": "assistant", "content": found.content or None}
    if found.reasoning:
        message["reasoning_content"] = found.reasoning
    if found.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in found.calls
        ]
    return message


@pytest.mark.parametrize("name", ["qwen2.5", "qwen3", "qwq"])
@settings(max_examples=20)
@given(content=st.just("") | prose, reasoning=prose, wanted=calls, places=places)
def test_messages_come_back(
    name: str, content: str, reasoning: str, wanted: list[tuple[str, dict[str, Any]]], places: list[int]
) -> None:
    rendered = template(name)
    sent = Message(content=content, reasoning=reasoning if name == "qwen3" else "", calls=[])
    message = message_of(sent)
    if wanted:
        message["tool_calls"] = [
            {"id": "x", "type": "function", "function": {"name": tool, "arguments": json.dumps(arguments)}}
            for tool, arguments in wanted
        ]
    text = written(rendered, message)
    kinds = detect_parsers(rendered.source)
    assert kinds[1] == "hermes"
    reader = parser("hermes", reasoning=kinds[0] if name == "qwen3" else None)
    found = read(reader, cut(text, places))
    assert [(call.name, json.loads(call.arguments)) for call in found.calls] == wanted
    assert found.content.strip() == content
    assert found.reasoning.strip() == sent.reasoning
    # Sent back, it is the same text again: nothing that the cache holds is computed anew.
    assert written(rendered, message_of(found)) == text


@pytest.mark.parametrize(
    ("name", "expected"),
    [("qwen2.5", (None, "hermes")), ("qwen3", ("qwen3", "hermes")), ("qwq", ("deepseek_r1", "hermes"))],
)
def test_parsers_are_told_from_the_real_templates(name: str, expected: tuple[str | None, str]) -> None:
    assert detect_parsers(template(name).source) == expected


@pytest.mark.parametrize(
    ("name", "thinking", "text", "reasoning", "content"),
    [
        ("qwen3", None, "<think>\nHm.\n</think>\n\nFine.", "Hm.", "Fine."),
        ("qwen3", False, "Fine.", "", "Fine."),
        ("qwen3", None, "<think>\n\n</think>\n\nFine.", "", "Fine."),  # the model's way after /no_think
        ("qwq", None, "Hm.\n</think>\n\nFine.", "Hm.", "Fine."),
    ],
)
def test_thinking_is_known_from_the_prompt(
    name: str, thinking: bool | None, text: str, reasoning: str, content: str
) -> None:
    rendered = template(name)
    switch = {} if thinking is None else {"enable_thinking": thinking}
    prompt = rendered.render(prepare_messages([QUESTION]), **switch)
    kind = detect_parsers(rendered.source)[0]
    found = read(parser(reasoning=kind, prompt=prompt, thinking=thinking), list(text))
    assert (found.reasoning.strip(), found.content.strip()) == (reasoning, content)
