from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.text.pieces import cut, damaged, json_objects, json_values, places

from pagoda.text.tools.json_value import JsonValue

END, START = "</tool_call>", "<tool_call>"
layouts = st.sampled_from(((None, None), (2, None), (None, (",", ":")), (None, (" , ", " : "))))
marks = st.sampled_from((("", ""), (END, START)))


def read(pieces: list[str], end: str = "", start: str = "") -> tuple[str, str]:
    """What a value passes on of the text in pieces, and what it leaves."""
    value, passed, held = JsonValue(end, start), "", ""
    for piece in pieces:
        held += piece
        text, position = value.read(held, 0, False)
        passed, held = passed + text, held[position:]
    text, position = value.read(held, 0, True)
    return passed + text, held[position:]


@settings(max_examples=60)
@given(
    value=json_objects | st.lists(json_values, min_size=1, max_size=3),
    layout=layouts,
    ascii_only=st.booleans(),
    places=places,
    markers=marks,
)
def test_valid_json_is_passed_on_unchanged(
    value: object,
    layout: tuple[int | None, tuple[str, str] | None],
    ascii_only: bool,
    places: list[int],
    markers: tuple[str, str],
) -> None:
    text = json.dumps(value, indent=layout[0], separators=layout[1], ensure_ascii=ascii_only)
    assert read(cut(text + " rest", places), *markers) == (text, " rest")


@settings(max_examples=60)
@given(
    text=damaged(
        json_objects.map(json.dumps), ('"', "\\", "{", "]", END, START, "\n", "</", ",", " ", " " * 300)
    ),
    data=st.data(),
)
def test_any_chunking_gives_the_same(text: str, data: st.DataObject) -> None:
    text = "{" + text.removeprefix("{")
    markers = data.draw(marks)
    expected = read([text], *markers)
    assert read(list(text), *markers) == expected
    assert read(cut(text, data.draw(places)), *markers) == expected


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    before=st.text(st.sampled_from("ab \n"), max_size=4),
)
def test_a_raw_string_is_escaped_where_it_can_be_told(text: str, before: str) -> None:
    """Whatever stands between quotes, as long as no quote in it looks like its end."""
    inside = before + text.replace("\\", "").replace('"', '"x')
    passed, rest = read([f'{{"a": "{inside}"}}'])
    assert (json.loads(passed), rest) == ({"a": inside}, "")
