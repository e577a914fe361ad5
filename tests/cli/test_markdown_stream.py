from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pagoda.cli.markdown_stream import MarkdownStream, finished_length
from pagoda.cli.plain_text import plain_text

PIECES = [
    "text ",
    "more\n",
    "\n",
    "\n\n",
    "```python\n",
    "```\n",
    "x = 1\n",
    "- item\n",
    "2. item\n",
    "  deep\n",
    "# head\n",
]
CODE = "```\na\n\nb\n```\n"


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("", ""),
        ("one paragraph", ""),
        ("one paragraph\n\n", ""),
        ("one\n\ntwo longer", "one\n\n"),
        ("one\n\ntwo longer\n\nthree longer", "one\n\ntwo longer\n\n"),
        ("one\ntwo\n", ""),
        (CODE, ""),
        (CODE + "\nafterwards", CODE + "\n"),
        ("```\na\n\nb is code still\n", ""),
        ("```\nnot ``` closed\n\nyet more\n", ""),
        ("- a\n\n- b is the same list", ""),
        ("1. a\n\n2. b\n\nanother paragraph", "1. a\n\n2. b\n\n"),
        ("- a\n\n  still a\n", ""),
        ("- a\n\n2", ""),
        ("# head\n\nbelow it", "# head\n\n"),
    ],
)
def test_where_a_text_is_finished(text: str, finished: str) -> None:
    assert text[: finished_length(text)] == finished


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_what_is_finished_stays_so_and_keeps_code_together(pieces: list[str]) -> None:
    text = "".join(pieces)
    cuts = [finished_length(text[:end]) for end in range(len(text) + 1)]
    assert cuts == sorted(cuts)
    cut = cuts[-1]
    assert cut <= len(text)
    assert cut == 0 or text[:cut].endswith("\n")


def shown(pieces: list[str], height: int = 10) -> str:
    """What stays on a terminal of `height` lines after the pieces have come."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=60, height=height, color_system=None)
    with MarkdownStream(console) as stream:
        for piece in pieces:
            stream.push(piece)
    assert stream.text == "".join(pieces)
    return screen(output.getvalue())


def screen(written: str) -> str:
    """The lines left by a terminal that knows: line up, erase line, carriage return, newline."""
    lines, row = [""], 0
    rest = written.replace("\x1b[?25l", "").replace("\x1b[?25h", "")
    while rest:
        if rest.startswith("\x1b[1A"):
            row, rest = row - 1, rest[4:]
        elif rest.startswith("\x1b[2K"):
            lines[row], rest = "", rest[4:]
        elif rest.startswith("\r"):
            rest = rest[1:]
        elif rest.startswith("\n"):
            row, rest = row + 1, rest[1:]
            lines += [""] * (row + 1 - len(lines))
        else:
            lines[row], rest = lines[row] + rest[0], rest[1:]
    return "\n".join(line.rstrip() for line in lines)


def test_a_long_answer_is_on_the_screen_once_and_in_order() -> None:
    text = "\n\n".join(f"Paragraph number {number} of the answer." for number in range(40))
    left = shown([text[start : start + 7] for start in range(0, len(text), 7)])
    positions = [left.index(f"Paragraph number {number} ") for number in range(40)]
    assert positions == sorted(positions)
    assert left.count("Paragraph number") == 40


def test_a_code_block_longer_than_the_screen_is_whole_at_the_end() -> None:
    code = "".join(f"line_{number} = {number}\n" for number in range(30))
    text = f"Here it is:\n\n```python\n{code}```\n\nThat was it."
    left = shown([text[start : start + 5] for start in range(0, len(text), 5)])
    for number in range(30):
        assert left.count(f"line_{number} = {number} ") + left.count(f"line_{number} = {number}\n") == 1
    assert left.index("line_29") < left.index("That was it")


def test_an_answer_cannot_steer_the_terminal() -> None:
    assert plain_text("a\x1b]0;title\x07b\tc\nd\x9b2Je\r") == "a]0;titleb\tc\nd2Je"
    assert "\x1b]" not in shown(["a\x1b]0;owned\x07b"])
