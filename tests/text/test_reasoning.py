from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.text.pieces import Message, cut, damaged, parser, places, plain_text, read

from pagoda.text.answers import parser_names
from pagoda.text.reasoning import thinking_at_end

OPEN = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n"
CLOSED = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
UNOPENED = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
CALL = '<tool_call>\n{"name": "list_files", "arguments": {"a": 1}}\n</tool_call>'
MARKS = ("<think>", "</think>", "<tool_call>", "</think", "<th", "\n\n", CALL, "{", " " * 70)

answers = st.lists(st.sampled_from(("<think>", "</think>", "\n", "\n\n", CALL)) | plain_text, max_size=6).map(
    "".join
)


@pytest.mark.parametrize("name", parser_names("reasoning"))
@settings(max_examples=50)
@given(
    text=damaged(answers, MARKS),
    prompt=st.sampled_from((OPEN, CLOSED, UNOPENED)),
    thinking=st.sampled_from((None, True, False)),
    tools=st.sampled_from((None, "hermes", "qwen3_coder")),
    places=places,
)
def test_any_chunking_gives_the_same(
    name: str, text: str, prompt: str, thinking: bool | None, tools: str | None, places: list[int]
) -> None:
    def whole(pieces: list[str]) -> Message:
        return read(parser(tools, reasoning=name, prompt=prompt, thinking=thinking), pieces)

    expected = whole([text])
    assert whole(list(text)) == expected
    assert whole(cut(text, places)) == expected


@pytest.mark.parametrize("name", parser_names("reasoning"))
@given(reasoning=st.text(st.sampled_from("ab <\n你"), max_size=20), content=plain_text)
def test_nothing_is_lost(name: str, reasoning: str, content: str) -> None:
    message = read(parser(reasoning=name), [f"<think>{reasoning}</think>{content}"])
    assert message == Message(reasoning=reasoning if reasoning.strip() else "", content=content)


@pytest.mark.parametrize(
    ("name", "prompt", "thinking", "text", "reasoning", "content"),
    [
        ("qwen3", UNOPENED, None, "<think>\nHm.\n</think>\n\nHi", "\nHm.\n", "\n\nHi"),
        ("qwen3", UNOPENED, None, "\n<think>\nHm", "\nHm", ""),  # broken off
        ("qwen3", UNOPENED, None, "Hi", "", "Hi"),  # a model that does not think
        ("qwen3", UNOPENED, True, "Hm.</think>Hi", "Hm.", "Hi"),
        ("qwen3", UNOPENED, False, "Hi", "", "Hi"),
        ("qwen3", UNOPENED, None, "<think>\n\n</think>\n\nHi", "", "\n\nHi"),  # as after /no_think
        ("qwen3", OPEN, None, "Hm.\n</think>\n\nHi", "Hm.\n", "\n\nHi"),
        ("qwen3", OPEN, None, "<think>\nHm.\n</think>Hi", "\nHm.\n", "Hi"),
        ("qwen3", OPEN, False, "Hm.", "Hm.", ""),  # a template that takes no switch
        ("qwen3", CLOSED, False, "Hi </think>", "", "Hi </think>"),
        ("qwen3", CLOSED, None, "Hi", "", "Hi"),
        ("deepseek_r1", OPEN, None, "Hm.</think>Hi", "Hm.", "Hi"),
        ("deepseek_r1", UNOPENED, None, "Hm.</think>Hi", "Hm.", "Hi"),
        ("deepseek_r1", UNOPENED, None, "Hm", "Hm", ""),
        ("deepseek_r1", UNOPENED, False, "Hi", "", "Hi"),
        ("deepseek_r1", CLOSED, None, "Hi", "", "Hi"),
    ],
)
def test_where_reasoning_ends(
    name: str, prompt: str, thinking: bool | None, text: str, reasoning: str, content: str
) -> None:
    message = read(parser(reasoning=name, prompt=prompt, thinking=thinking), [text])
    assert (message.reasoning, message.content) == (reasoning, content)


def test_a_call_ends_qwen3_reasoning_but_a_mention_does_not() -> None:
    thought = "<think>\nThe <tool_call> tag begins one.\n"
    message = read(parser("hermes", reasoning="qwen3"), [thought + CALL])
    assert message.reasoning == "\nThe <tool_call> tag begins one.\n"
    assert [call.arguments for call in message.calls] == ['{"a": 1}']


def test_a_call_rehearsed_in_reasoning_is_none() -> None:
    text = f"<think>\nI could send {CALL}\n</think>\n\nNo."
    message = read(parser("hermes", reasoning="deepseek_r1"), [text])
    assert (message.content, message.calls) == ("\n\nNo.", [])
    message = read(parser(None, reasoning="qwen3"), [text])  # no tools: nothing there is a call
    assert (message.content, message.calls) == ("\n\nNo.", [])


def test_calls_after_reasoning() -> None:
    message = read(parser("hermes", reasoning="qwen3"), [f"<think>\nHm.\n</think>\n\n{CALL}"])
    assert (message.reasoning, message.content, len(message.calls)) == ("\nHm.\n", "", 1)


def test_without_a_parser_reasoning_stays_in_the_text() -> None:
    text = "<think>\nHm.\n</think>\n\nHi"
    assert read(parser(), [text]) == Message(content=text)


def test_reasoning_flows_at_once() -> None:
    answer = parser(reasoning="qwen3")
    pieces = ("<think>", "\n", "Hm", " <", " so", "</th", "ink>", "Hi")
    deltas = [answer.push(piece) for piece in pieces]
    assert [delta.reasoning for delta in deltas] == ["", "", "\nHm", " ", "< so", "", "", ""]
    assert [delta.content for delta in deltas] == [*[""] * 7, "Hi"]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (OPEN, "open"),
        (CLOSED, "closed"),
        (UNOPENED, "unopened"),
        (OPEN + "Going on with a thought", "open"),
        ("<|im_start|>user\nWhat is <think>?<|im_end|>\n<|im_start|>assistant\n", "unopened"),
        ("<|im_start|>assistant\n<think>\nHm\n</think>\n\nHi<|im_end|>\n<|im_start|>assistant\n", "unopened"),
        ("<｜User｜>Hi<｜Assistant｜><think>\n", "open"),
        ("", "unopened"),
    ],
)
def test_what_the_prompt_leaves_open(prompt: str, expected: str) -> None:
    assert thinking_at_end(prompt) == expected
