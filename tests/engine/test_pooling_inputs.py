"""Texts and pairs in tokens: cut as the tokenizers library cuts them, refused in words that clients know."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers import goldens
from tests.helpers.engines import engine_info
from tokenizers import Tokenizer as Backend

from pagoda.engine.config import EngineInfo, PoolingInfo
from pagoda.engine.pooling_inputs import PoolingInput, PoolingPrompt, Side, Truncation, read_prompts
from pagoda.engine.validation import PromptError
from pagoda.text.load import load_tokenizer

FOLDER = goldens.FOLDER / "bert_classifier"
TOKENIZER = load_tokenizer(FOLDER)


def info(max_model_len: int = 64, pairs: bool = True) -> EngineInfo:
    base = engine_info(max_model_len=max_model_len)
    pooling = PoolingInfo(method="cls", normalize=False, size=1, labels=("x",), pairs=pairs)
    return EngineInfo(**{name: getattr(base, name) for name in base.__struct_fields__} | {"pooling": pooling})


def read(
    prompt: PoolingPrompt, limit: int | None = None, side: Side = "right", max_model_len: int = 64
) -> PoolingInput:
    [found] = read_prompts(TOKENIZER, [prompt], info(max_model_len), Truncation(limit, side))
    return found


def test_what_the_files_say_of_padding_and_truncation_is_not_for_us() -> None:
    long = "cat " * 200
    assert len(read(long, max_model_len=300).token_ids) == 202
    assert len(read("cat").token_ids) == 3


texts = st.text("abc the cat ", min_size=0, max_size=30)


@settings(max_examples=150, deadline=None)
@given(texts, st.none() | texts, st.integers(1, 24), st.sampled_from(["left", "right"]))
def test_texts_are_cut_as_the_library_cuts_them(
    first: str, second: str | None, limit: int, side: Side
) -> None:
    around = 2 if second is None else 3
    if limit < around:
        return
    oracle = Backend.from_file(str(FOLDER / "tokenizer.json"))
    oracle.no_padding()
    oracle.enable_truncation(limit, strategy="longest_first", direction=side)
    expected = oracle.encode(first) if second is None else oracle.encode(first, second)
    found = read(first if second is None else (first, second), limit, side)
    assert len(found.token_ids) == len(expected.ids)
    if second is None:
        assert found.token_ids == expected.ids
    else:  # how a tie is cut is nobody's contract, but no text may lose more than the longer one must
        lengths = [expected.sequence_ids.count(0), expected.sequence_ids.count(1)]
        mine = [found.segments_from - 2, len(found.token_ids) - found.segments_from - 1]  # type: ignore[operator]
        assert abs(lengths[0] - mine[0]) <= 1
        assert sum(mine) == sum(lengths)


def test_segments_begin_with_the_second_text() -> None:
    assert read(("cat", "the dog")).segments_from == 3
    assert read("cat").segments_from is None
    [found] = read_prompts(TOKENIZER, [("cat", "dog")], info(pairs=False), Truncation())
    assert found.segments_from is None


def test_prompts_keep_their_order() -> None:
    found = read_prompts(TOKENIZER, ["cat", [7, 8], "dog"], info(), Truncation())
    assert [one.token_ids for one in found] == [
        TOKENIZER.encode("cat"),
        [7, 8],
        TOKENIZER.encode("dog"),
    ]


def test_token_ids_are_cut_too() -> None:
    assert read([1, 2, 3, 4], 2).token_ids == [1, 2]
    assert read([1, 2, 3, 4], 2, "left").token_ids == [3, 4]
    assert read(list(range(100)), -1).token_ids == list(range(64))


@pytest.mark.parametrize(
    ("prompt", "limit", "parameter", "message"),
    [
        (
            "cat " * 63,
            None,
            "input_tokens",
            "This model's maximum context length is 64 tokens. However, you ",
        ),
        ([1] * 65, None, "input_tokens", "65 input tokens"),
        ("x" * 100_000, None, "input_tokens", "at least 390 input tokens"),
        ([], None, "input", "must not be empty"),
        ([320], None, "input", "Token id 320 is out of vocabulary"),
        ([-1], None, "input", "Token id -1 is out of vocabulary"),
        ("cat", 0, "truncate_prompt_tokens", "must be -1 or at least 1"),
        ("cat", 65, "truncate_prompt_tokens", r"\(65\) is greater than max_model_len \(64\)"),
        ("\ud800", None, "input", "not valid Unicode"),
    ],
)
def test_refusals(prompt: PoolingPrompt, limit: int | None, parameter: str, message: str) -> None:
    with pytest.raises(PromptError, match=message) as caught:
        read(prompt, limit)
    assert caught.value.parameter == parameter
    assert "\n" not in str(caught.value)


def test_a_text_needs_a_tokenizer() -> None:
    with pytest.raises(PromptError, match="tokenizer"):
        read_prompts(None, ["cat"], info(), Truncation())
    assert read_prompts(None, [[1, 2]], info(), Truncation())[0].token_ids == [1, 2]
