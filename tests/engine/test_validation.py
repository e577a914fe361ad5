from __future__ import annotations

import pytest

from pagoda.engine.params import SamplingParams
from pagoda.engine.validation import PromptError, check_prompt, check_text


def check(count: int, **params: object) -> SamplingParams:
    given = SamplingParams(**params)  # type: ignore[arg-type]
    return check_prompt([1] * count, given, max_model_len=100, vocab_size=50)


def test_a_prompt_that_leaves_no_room_in_the_words_clients_look_for() -> None:
    with pytest.raises(PromptError) as caught:
        check(90, max_tokens=20)
    assert caught.value.parameter == "input_tokens"
    assert str(caught.value) == (
        "This model's maximum context length is 100 tokens. However, you requested 20 output tokens and your "
        "prompt contains 90 input tokens, for a total of 110 tokens. Please reduce the length of the input "
        "prompt or the number of requested output tokens. (parameter=input_tokens, value=90)"
    )


def test_the_whole_context_can_be_used() -> None:
    assert check(90, max_tokens=10).max_tokens == 10
    with pytest.raises(PromptError):
        check(90, max_tokens=11)


def test_no_max_tokens_means_the_rest() -> None:
    assert check(90, max_tokens=None).max_tokens == 10
    assert check(99, max_tokens=None).max_tokens == 1
    with pytest.raises(PromptError, match="requested 1 output tokens and your prompt contains 100 input"):
        check(100, max_tokens=None)
    with pytest.raises(PromptError, match="requested 11 output tokens"):
        check(90, max_tokens=None, min_tokens=11)


def test_an_empty_prompt() -> None:
    with pytest.raises(PromptError, match="must not be empty") as caught:
        check(0)
    assert caught.value.parameter == "prompt"


@pytest.mark.parametrize("token", [-1, 50, 10**12])
def test_token_ids_outside_the_vocabulary(token: int) -> None:
    with pytest.raises(PromptError, match=f"Token id {token} is out of vocabulary"):
        check_prompt([1, token], SamplingParams(), max_model_len=100, vocab_size=50)
    with pytest.raises(PromptError, match="stop_token_ids") as caught:
        check(1, stop_token_ids=(token,))
    assert caught.value.parameter == "stop_token_ids"


def test_a_huge_text_is_refused_before_it_is_cut_into_tokens() -> None:
    check_text("x" * 20_000, SamplingParams(), max_model_len=100)
    with pytest.raises(
        PromptError, match=r"contains at least 1000 input tokens, for a total of at least 1016 tokens"
    ):
        check_text("x" * 256_000, SamplingParams(), max_model_len=100)
