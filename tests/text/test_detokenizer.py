from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pagoda.text.detokenizer import IncrementalDetokenizer
from pagoda.text.tokenizer import Tokenizer

IDS = st.lists(st.integers(0, 275), max_size=60)
CUTS = st.lists(st.integers(0, 60), max_size=20)
STOPS = st.lists(st.text("helo wrdab", min_size=1, max_size=4), min_size=1, max_size=4)
TEXTS = st.text("helo wrdab你", max_size=40)


def chunks(ids: list[int], cuts: list[int]) -> list[list[int]]:
    borders = sorted({0, len(ids), *(cut for cut in cuts if cut < len(ids))})
    return [ids[start:end] for start, end in pairwise(borders)]


def run(detokenizer: IncrementalDetokenizer, parts: list[list[int]]) -> list[str]:
    return [*(detokenizer.push(part) for part in parts), detokenizer.finish()]


def stopped_text(text: str, stop: list[str], include: bool) -> tuple[str, str | None]:
    """By definition: the answer ends at the first character that completes a stop string; the longest of them
    counts.
    """
    for end in range(1, len(text) + 1):
        found = [string for string in stop if text[:end].endswith(string)]
        if found:
            longest = max(found, key=len)
            return text[: end if include else end - len(longest)], longest
    return text, None


@given(ids=IDS, cuts=CUTS, skip=st.booleans())
@example(ids=[], cuts=[], skip=True)
def test_pieces_join_to_the_decoded_text(
    byte_level: Tokenizer, ids: list[int], cuts: list[int], skip: bool
) -> None:
    detokenizer = IncrementalDetokenizer(byte_level, [1], skip_special_tokens=skip)
    pieces = run(detokenizer, chunks(ids, cuts))
    assert "".join(pieces) == byte_level.decode(ids, skip_special_tokens=skip) == detokenizer.text


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_characters_that_span_tokens_come_out_whole(byte_level: Tokenizer, text: str) -> None:
    detokenizer = IncrementalDetokenizer(byte_level, [], skip_special_tokens=False)
    pieces = run(detokenizer, [[index] for index in byte_level.encode(text)])
    assert "".join(pieces) == text
    assert sum(piece.count("\ufffd") for piece in pieces) == text.count("\ufffd")


@given(text=TEXTS, stop=STOPS, cuts=CUTS, include=st.booleans())
@example(text="aab", stop=["ab", "aaab"], cuts=[], include=False)
@example(text="hello world", stop=["lo", "hello"], cuts=[1, 2, 3], include=True)
def test_stop_strings_whatever_the_chunking(
    byte_level: Tokenizer, text: str, stop: list[str], cuts: list[int], include: bool
) -> None:
    detokenizer = IncrementalDetokenizer(byte_level, [1], stop=stop, include_stop_str_in_output=include)
    pieces = run(detokenizer, chunks(byte_level.encode(text), cuts))
    expected, matched = stopped_text(text, stop, include)
    assert "".join(pieces) == detokenizer.text == expected
    assert detokenizer.stopped == matched


@given(text=TEXTS, stop=STOPS)
def test_no_part_of_a_stop_string_is_sent_early(byte_level: Tokenizer, text: str, stop: list[str]) -> None:
    expected, _ = stopped_text(text, stop, include=False)
    detokenizer = IncrementalDetokenizer(byte_level, [1], stop=stop)
    for index in byte_level.encode(text):
        detokenizer.push([index])
        assert expected.startswith(detokenizer.text)


def test_text_is_held_back_no_longer_than_needed(byte_level: Tokenizer) -> None:
    detokenizer = IncrementalDetokenizer(byte_level, [1], stop=["ooz"])
    assert [detokenizer.push([index]) for index in byte_level.encode("fooox")] == ["f", "", "", "o", "oox"]


def test_tokens_after_the_stop_string_are_ignored_and_counted_out(byte_level: Tokenizer) -> None:
    detokenizer = IncrementalDetokenizer(byte_level, [1], stop=["b"])
    assert detokenizer.push(byte_level.encode("ab a")) == "a"
    assert detokenizer.num_tokens == 2
    assert detokenizer.push(byte_level.encode("more")) == ""
    assert detokenizer.finish() == ""


@pytest.mark.parametrize(("min_tokens", "text"), [(0, "a"), (2, "abxa"), (6, "abxabxab")])
def test_stop_strings_wait_for_min_tokens(byte_level: Tokenizer, min_tokens: int, text: str) -> None:
    detokenizer = IncrementalDetokenizer(byte_level, [1], stop=["b"], min_tokens=min_tokens)
    sent = "".join(run(detokenizer, [[index] for index in byte_level.encode("abxabxab")]))
    assert sent == {0: "a", 2: "abxa", 6: "abxabxa"}[min_tokens]
    assert text.startswith(sent)


def test_special_tokens_do_not_break_a_character(byte_level: Tokenizer) -> None:
    first, second = byte_level.encode("é")
    assert run(IncrementalDetokenizer(byte_level, []), [[first], [2], [second]]) == ["", "", "é", ""]


@given(ids=st.lists(st.integers(0, 699), max_size=30), cuts=CUTS)
def test_sentencepiece_continues_the_prompt(
    sentencepiece: Tokenizer, ids: list[int], cuts: list[int]
) -> None:
    alone = "".join(run(IncrementalDetokenizer(sentencepiece, []), chunks(ids, cuts)))
    assert alone == sentencepiece.decode(ids)
    prompt = sentencepiece.encode("the")
    after = "".join(run(IncrementalDetokenizer(sentencepiece, prompt), chunks(ids, cuts)))
    assert "the" + after == sentencepiece.decode(prompt + ids)
