"""Feeding text to parsers in pieces, and putting their deltas together as clients do."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any

from hypothesis import strategies as st

from pagoda.text.answers import make_answer_parser
from pagoda.text.parsing import AnswerParser, MessageDelta
from pagoda.text.tool_schema import ToolChoice

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string"},
                    "days": {"type": "integer"},
                    "scale": {"type": "number"},
                    "wind": {"type": "boolean"},
                    "options": {"type": "object"},
                    "tags": {"type": "array"},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
            },
        },
    },
    {"type": "function", "function": {"name": "list_files"}},
]


@dataclass
class Call:
    id: str
    name: str
    arguments: str = ""


@dataclass
class Message:
    reasoning: str = ""
    content: str = ""
    calls: list[Call] = field(default_factory=list)

    def add(self, delta: MessageDelta) -> None:
        self.reasoning += delta.reasoning
        self.content += delta.content
        for news in delta.tool_calls:
            if news.index == len(self.calls):  # the first of its index: id and name, now and never again
                assert news.id
                assert news.name
                self.calls.append(Call(news.id, news.name))
            else:
                assert news.index == len(self.calls) - 1
                assert (news.id, news.name) == (None, None)
                assert news.arguments
            self.calls[news.index].arguments += news.arguments


def parser(
    tool_parser: str | None = None,
    *,
    reasoning: str | None = None,
    tool_choice: ToolChoice = "auto",
    prompt: str = "",
    thinking: bool | None = None,
    parallel: bool = True,
) -> AnswerParser:
    ids = count()
    return make_answer_parser(
        reasoning=reasoning,
        tool_parser=tool_parser,
        prompt=prompt,
        thinking=thinking,
        tools=TOOLS,
        tool_choice=tool_choice,
        parallel=parallel,
        new_id=lambda: f"call-{next(ids)}",
    )


def read(answer: AnswerParser, pieces: list[str]) -> Message:
    message = Message()
    for piece in pieces:
        message.add(answer.push(piece))
    message.add(answer.finish())
    assert all(call.arguments for call in message.calls)
    return message


def cut(text: str, places: list[int]) -> list[str]:
    """`text` in pieces, cut at the places (those beyond its end count for nothing)."""
    borders = [0, *sorted({place for place in places if 0 < place < len(text)}), len(text)]
    return [text[start:end] for start, end in pairwise(borders)]


places = st.lists(st.integers(1, 400), max_size=40)
plain_text = st.text(st.sampled_from("ab \n{}[]<>/\"'\\,:;=你好🙂"), max_size=30)
"""Text with all that could be taken for a part of a format."""

words = st.text(st.sampled_from("abc 你好.\n\"'\\{}<>/"), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e3, 1e3, allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(words, json_values, max_size=3)


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str], marks: tuple[str, ...]) -> str:
    """A model's output as it should not be: broken off, with a part missing, or with marks put into it."""
    text = draw(texts)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(text)))
        kind = draw(st.sampled_from(("end", "lose", "insert")))
        if kind == "end":
            text = text[:place]
        elif kind == "lose":
            text = text[:place] + text[place + draw(st.integers(1, 12)) :]
        else:
            text = text[:place] + draw(st.sampled_from(marks)) + text[place:]
    return text
