"""Limits of sampling parameters and of what a server allows, in the words clients look for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pagoda.engine.messages import AddRequest, EngineCommand, ReasoningTokens
from pagoda.engine.params import (
    ParameterError,
    RepetitionDetectionParams,
    RequestOutputKind,
    SamplingParams,
    StructuredOutputsParams,
)
from pagoda.engine.repetition import ends_in_repetition
from pagoda.engine.validation import PromptError, check_logprobs, check_prompt, check_text, truncate_prompt


@pytest.mark.parametrize(
    ("values", "parameter"),
    [
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"min_p": 1.5}, "min_p"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"frequency_penalty": -2.1}, "frequency_penalty"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"n": 0}, "n"),
        ({"n": 2, "temperature": 0}, "n"),
        ({"n": 2, "best_of": 3}, "best_of"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"min_tokens": 17}, "min_tokens"),
        ({"stop": ["a", ""]}, "stop"),
        ({"stop": ["a"], "detokenize": False}, "stop"),
        ({"logprobs": -2}, "logprobs"),
        ({"prompt_logprobs": -2}, "prompt_logprobs"),
        ({"logprob_token_ids": range(129)}, "logprob_token_ids"),
        ({"logit_bias": {"x": 1.0}}, "logit_bias"),
        ({"logit_bias": {1: float("nan")}}, "logit_bias"),
        ({"logit_bias": {1: "a"}}, "logit_bias"),
        ({"allowed_token_ids": []}, "allowed_token_ids"),
        ({"bad_words": [" "]}, "bad_words"),
        ({"bad_words": ["x"] * 1025}, "bad_words"),
        ({"thinking_token_budget": -2}, "thinking_token_budget"),
        ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
        ({"truncate_prompt_tokens": -2}, "truncate_prompt_tokens"),
        ({"truncation_side": "middle"}, "truncation_side"),
        ({"repetition_detection": {"max_pattern_size": 3}}, "repetition_detection"),
        ({"repetition_detection": {"min_pattern_size": 3, "min_count": 2}}, "repetition_detection"),
        ({"repetition_detection": 3}, "repetition_detection"),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": "json"}, "structured_outputs"),
    ],
)
def test_values_out_of_range_are_named(values: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ParameterError) as caught:
        SamplingParams(**values)
    assert caught.value.parameter == parameter
    assert parameter in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_are_brought_into_one_form() -> None:
    params = SamplingParams(
        stop="a", seed=-1, logprobs=True, logit_bias={"5": 200, 6: -200}, allowed_token_ids=[1, 2]  # type: ignore[arg-type, dict-item]
    )  # fmt: skip
    assert params.stop == ("a",)
    assert params.seed is None
    assert params.logprobs == 1
    assert params.logit_bias == {5: 100.0, 6: -100.0}
    assert params.allowed_token_ids == (1, 2)
    assert SamplingParams(logprobs=False).logprobs is None
    assert SamplingParams(n=2, best_of=2).n == 2
    assert not SamplingParams().wants_logprobs
    assert SamplingParams(logprob_token_ids=(3,)).wants_logprobs


def test_a_request_travels_with_all_of_its_parameters() -> None:
    command = AddRequest(
        request_id="r",
        prompt_token_ids=[1],
        params=SamplingParams(
            logit_bias={3: 1.5},
            bad_words=("x",),
            output_kind=RequestOutputKind.DELTA,
            structured_outputs=StructuredOutputsParams(json={"type": "object"}),
            repetition_detection=RepetitionDetectionParams(max_pattern_size=2, min_count=3),
        ),
        reasoning=ReasoningTokens((1,), (2, 3), in_reasoning=True),
        bad_words_token_ids=[[4, 5]],
    )
    sent = msgspec.msgpack.encode(command)
    assert msgspec.msgpack.decode(sent, type=EngineCommand) == command


@pytest.mark.parametrize("name", ["stop_token_ids", "allowed_token_ids", "logprob_token_ids"])
@pytest.mark.parametrize("token", [-1, 50, 10**12])
def test_token_ids_outside_the_vocabulary_are_refused(name: str, token: int) -> None:
    params = SamplingParams(**{name: (1, token)})  # type: ignore[arg-type]
    with pytest.raises(PromptError, match=f"{name} contains {token}, but .* token ids 0 to 49") as caught:
        check_prompt([1], params, max_model_len=100, vocab_size=50)
    assert caught.value.parameter == name


def test_a_bias_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(PromptError, match="logit_bias contains 50"):
        check_prompt([1], SamplingParams(logit_bias={50: 1.0}), max_model_len=100, vocab_size=50)


def test_more_logprobs_than_the_server_allows() -> None:
    def check(most: int, **params: int) -> None:
        check_logprobs(SamplingParams(**params), most, vocab_size=1000)  # type: ignore[arg-type]

    check(20, logprobs=20, prompt_logprobs=20)
    check(-1, logprobs=-1, prompt_logprobs=1000)
    with pytest.raises(PromptError) as caught:
        check(20, logprobs=30)
    assert str(caught.value) == "Requested sample logprobs of 30, which is greater than max allowed: 20"
    with pytest.raises(PromptError, match="prompt logprobs of 1000, which is greater than max allowed: 20"):
        check(20, prompt_logprobs=-1)


def test_all_logprobs_are_as_many_as_there_are_tokens() -> None:
    params = check_prompt(
        [1], SamplingParams(logprobs=-1, prompt_logprobs=70), max_model_len=99, vocab_size=50
    )
    assert (params.logprobs, params.prompt_logprobs) == (50, 50)


def cut(count: int, **params: Any) -> list[int]:
    return truncate_prompt(list(range(count)), SamplingParams(**params), max_model_len=20)


def test_prompts_are_cut_to_what_is_asked() -> None:
    assert cut(10) == list(range(10))
    assert cut(10, truncate_prompt_tokens=3) == [7, 8, 9]
    assert cut(10, truncate_prompt_tokens=3, truncation_side="right") == [0, 1, 2]
    assert cut(10, truncate_prompt_tokens=20) == list(range(10))
    assert cut(30, truncate_prompt_tokens=-1, max_tokens=4) == list(range(14, 30))
    assert cut(30, truncate_prompt_tokens=-1, max_tokens=None) == list(range(11, 30))
    with pytest.raises(PromptError, match=r"value \(21\) is greater than max_model_len \(20\)"):
        cut(10, truncate_prompt_tokens=21)


def test_a_text_of_any_length_may_be_cut() -> None:
    check_text("x" * 10**6, SamplingParams(truncate_prompt_tokens=-1), max_model_len=100)


@pytest.mark.parametrize(
    ("tokens", "repeats"),
    [
        ([1, 1, 1], True),
        ([1, 2, 1, 2, 1, 2], True),
        ([0, 1, 2, 1, 2], False),
        ([1, 2, 3] * 3, False),
        ([], False),
    ],
)
def test_patterns_that_repeat(tokens: list[int], repeats: bool) -> None:
    wanted = RepetitionDetectionParams(max_pattern_size=2, min_count=3)
    assert ends_in_repetition(tokens, wanted) == repeats
    assert not ends_in_repetition(tokens, RepetitionDetectionParams())
