"""WordPiece tokenizers as BERT's folders carry them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers import goldens

from pagoda.text.load import load_tokenizer
from pagoda.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return load_tokenizer(goldens.FOLDER / "bert")


def test_a_text_has_its_special_tokens_around_it(tokenizer: Tokenizer) -> None:
    names = [tokenizer.id_to_token(index) for index in tokenizer.encode("The cat!")]
    assert names == ["[CLS]", "the", "cat", "!", "[SEP]"]
    assert len(tokenizer.encode("The cat!", add_special_tokens=False)) == 3


def test_pieces_join_to_words(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("The dog, a caty mat.")
    assert tokenizer.decode(ids) == "the dog, a caty mat."


def test_pairs_tell_their_texts_apart(tokenizer: Tokenizer) -> None:
    [pair] = tokenizer.encode_texts([("the cat", "a dog")])
    assert [tokenizer.id_to_token(index) for index in pair.ids] == [
        "[CLS]",
        "the",
        "cat",
        "[SEP]",
        "a",
        "dog",
        "[SEP]",
    ]
    assert pair.sources == [None, 0, 0, None, 1, 1, None]
    assert pair.segments == [0, 0, 0, 0, 1, 1, 1]


def test_texts_that_are_no_unicode_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ValueError, match="Unicode"):
        tokenizer.encode_texts(["fine", "\ud800"])


@given(st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat"]), min_size=1, max_size=20))
def test_words_of_the_vocabulary_come_back(words: list[str]) -> None:
    tokenizer = load_tokenizer(goldens.FOLDER / "bert")
    assert tokenizer.decode(tokenizer.encode(" ".join(words))) == " ".join(words)
    assert "".join(tokenizer.token_text(index) for index in tokenizer.encode("a b", False)) == " a b"
