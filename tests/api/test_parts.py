"""The small pure parts: sampling defaults, chunks, log-probabilities, bills."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from tests.text.vocabularies import byte_level_metadata

from pagoda.api.accounting import Account
from pagoda.api.body import parse_json
from pagoda.api.chunks import ChunkEncoder, chat_delta
from pagoda.api.errors import ApiError
from pagoda.api.logprobs import LogprobFormatter, prompt_logprobs
from pagoda.api.metric_families import Families
from pagoda.api.model_metrics import ModelMetrics
from pagoda.api.protocol.chat import ChatCompletionRequest
from pagoda.api.protocol.completions import CompletionRequest
from pagoda.api.protocol.tokenize import TokenizeRequest
from pagoda.api.responses import shows_usage
from pagoda.api.sampling import Limits, cap_answer, chat_sampling, completion_sampling, model_defaults
from pagoda.api.settings import ServerSettings
from pagoda.engine.outputs import CompletionOutput, Logprob, RequestMetrics, RequestOutput
from pagoda.engine.params import SamplingParams
from pagoda.text.gguf_tokenizer import tokenizer_from_gguf
from pagoda.text.parsing import MessageDelta, ToolCallDelta
from pagoda.text.tokenizer import Tokenizer

LIMITS = Limits(max_model_len=512, vocab_size=320)
MODEL = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "repetition_penalty": 1.05, "do_sample": True}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return tokenizer_from_gguf(byte_level_metadata())


def chat(**fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest(messages=[{"role": "user", "content": "hi"}], **fields)


def test_the_models_own_sampling_holds_where_nothing_is_said() -> None:
    params = chat_sampling(chat(), model_defaults(MODEL, "auto"), LIMITS)
    assert (params.temperature, params.top_p, params.top_k, params.repetition_penalty) == (
        0.6,
        0.95,
        20,
        1.05,
    )
    params = chat_sampling(chat(temperature=0, top_k=-1), model_defaults(MODEL, "auto"), LIMITS)
    assert (params.temperature, params.top_p, params.top_k) == (0, 0.95, -1)
    params = chat_sampling(chat(), model_defaults(MODEL, "vllm"), LIMITS)
    assert (params.temperature, params.top_p, params.top_k) == (1.0, 1.0, 0)


def test_limits_of_an_answer() -> None:
    assert chat_sampling(chat(), {}, LIMITS).max_tokens is None
    assert chat_sampling(chat(max_tokens=5), {}, LIMITS).max_tokens == 5
    assert chat_sampling(chat(max_tokens=5, max_completion_tokens=7), {}, LIMITS).max_tokens == 7
    limited = model_defaults({"max_new_tokens": 9}, "auto")
    assert cap_answer(chat_sampling(chat(), limited, LIMITS), limited, room=100).max_tokens == 9
    assert cap_answer(chat_sampling(chat(), limited, LIMITS), limited, room=4).max_tokens == 4
    assert cap_answer(chat_sampling(chat(max_tokens=5), limited, LIMITS), limited, room=4).max_tokens == 5
    assert cap_answer(chat_sampling(chat(), {}, LIMITS), {}, room=4).max_tokens is None
    assert cap_answer(chat_sampling(chat(), {}, LIMITS), {}, room=4, most_tokens=7).max_tokens == 4
    assert cap_answer(chat_sampling(chat(), limited, LIMITS), limited, room=99, most_tokens=7).max_tokens == 7
    assert (
        cap_answer(chat_sampling(chat(), limited, LIMITS), limited, room=99, most_tokens=20).max_tokens == 9
    )
    assert cap_answer(chat_sampling(chat(max_tokens=5), {}, LIMITS), {}, 99, most_tokens=7).max_tokens == 5
    assert completion_sampling(CompletionRequest(prompt="x"), {}, LIMITS).max_tokens == 16
    assert completion_sampling(CompletionRequest(prompt="x"), limited, LIMITS).max_tokens == 9
    assert completion_sampling(CompletionRequest(prompt="x", max_tokens=40), limited, LIMITS).max_tokens == 40


def test_echo_asks_for_the_prompts_logprobs() -> None:
    params = completion_sampling(CompletionRequest(prompt="x", echo=True, logprobs=3), {}, LIMITS)
    assert (params.logprobs, params.prompt_logprobs) == (3, 3)
    assert completion_sampling(CompletionRequest(prompt="x", logprobs=3), {}, LIMITS).prompt_logprobs is None


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(text=TEXTS, index=st.integers(0, 200))
def test_the_short_way_of_a_chunk_is_the_long_one(text: str, index: int) -> None:
    encoder = ChunkEncoder("text", 'id-"1"', 123, "模型", "f")
    assert json.loads(encoder.text(index, text)[6:]) == json.loads(encoder.full(index, text)[6:])
    assert encoder.text(index, text).count(b"\n") == 2


@given(reasoning=st.just("") | TEXTS, content=st.just("") | TEXTS, index=st.integers(0, 200))
def test_the_short_way_of_a_chat_chunk_is_the_long_one(reasoning: str, content: str, index: int) -> None:
    encoder, delta = ChunkEncoder("chat", "i", 123, "m", "f"), MessageDelta(reasoning, content)
    made = encoder.delta(index, delta)
    if not delta:
        assert made == b""
        return
    assert json.loads(made[6:]) == json.loads(encoder.full(index, delta)[6:])
    assert made.count(b"\n") == 2


def test_news_of_a_message_have_both_spellings_of_reasoning_and_one_entry_a_call() -> None:
    calls = [
        ToolCallDelta(0, id="a", name="f"),
        ToolCallDelta(0, arguments='{"x":'),
        ToolCallDelta(0, arguments="1}"),
        ToolCallDelta(1, id="b", name="g", arguments="{}"),
    ]
    assert chat_delta(MessageDelta("why", "so", calls)) == {
        "reasoning": "why",
        "reasoning_content": "why",
        "content": "so",
        "tool_calls": [
            {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }
    later = chat_delta(MessageDelta(tool_calls=[ToolCallDelta(1, arguments="x")]))
    assert later == {"tool_calls": [{"index": 1, "function": {"arguments": "x"}}]}
    assert chat_delta(MessageDelta()) == {}
    assert chat_delta(MessageDelta(), empty=True) == {"content": ""}


def entry(logprob: float, rank: int) -> Logprob:
    return Logprob(logprob, rank, None)


def test_chat_logprobs_are_ranked_and_carry_the_tokens_bytes(tokenizer: Tokenizer) -> None:
    a, b = tokenizer.encode("a")[0], tokenizer.encode("b")[0]
    half = tokenizer.encode("é")[0]
    made = LogprobFormatter(tokenizer, 2).chat(
        [half], [{half: entry(-math.inf, 9), a: entry(-0.1, 1), b: entry(-3.0, 2)}]
    )
    [content] = made["content"]
    assert content["token"] == "\ufffd"
    assert content["bytes"] == [0xC3]
    assert content["logprob"] == -9999.0
    assert [(other["token"], other["logprob"]) for other in content["top_logprobs"]] == [
        ("a", -0.1),
        ("b", -3.0),
    ]


def test_completion_logprobs_keep_the_sampled_token_and_its_number(tokenizer: Tokenizer) -> None:
    a, b, c = (tokenizer.encode(letter)[0] for letter in "abc")
    positions = [None, {c: entry(-2.5, 3), a: entry(-0.5, 1), b: entry(-1.5, 2)}]
    made = LogprobFormatter(tokenizer, 1).completion([a, c], positions, offset=4)
    assert made == {
        "text_offset": [4, 5],
        "token_logprobs": [None, -2.5],
        "tokens": ["a", "c"],
        "top_logprobs": [None, {"c": -2.5, "a": -0.5}],
    }


def test_of_tokens_that_are_spelled_alike_the_likeliest_counts(tokenizer: Tokenizer) -> None:
    half, other = tokenizer.encode("é")[0], tokenizer.encode("é")[1]
    for chosen, logprobs in ((half, (-4.0, -0.1)), (half, (-0.1, -4.0))):
        position = {half: entry(logprobs[0], 2), other: entry(logprobs[1], 1)}
        made = LogprobFormatter(tokenizer, 1).completion([chosen], [position])
        assert made["top_logprobs"] == [{"\ufffd": -0.1}]  # clients ask whether the chosen one was the best
        assert made["token_logprobs"] == [logprobs[0]]


def test_tokens_can_be_written_as_ids(tokenizer: Tokenizer) -> None:
    a = tokenizer.encode("a")[0]
    made = LogprobFormatter(tokenizer, 0, as_ids=True).completion([a], [{a: entry(-1.0, 1)}])
    assert made["tokens"] == [f"token_id:{a}"]


def test_prompt_logprobs() -> None:
    made = prompt_logprobs([None, {7: Logprob(-1.0, 2, "x")}])
    assert made == [None, {"7": {"logprob": -1.0, "rank": 2, "decoded_token": "x"}}]
    assert prompt_logprobs(None) is None


def samples(metrics: ModelMetrics) -> dict[tuple[str, str], float]:
    """The values by the sample's name and its last label's value (model_name comes first)."""
    families = Families()
    metrics.collect(families)
    found = {}
    for family in families:
        for sample in family.samples:
            assert list(sample.labels)[:2] == ["model_name", "engine"]
            found[sample.name, list(sample.labels.values())[-1]] = sample.value
    return found


def output(tokens: dict[int, int], *, finished: bool, times: RequestMetrics) -> RequestOutput:
    reason = "length" if finished else None
    answers = [
        CompletionOutput(index, "x", [1] * count, finish_reason=reason) for index, count in tokens.items()
    ]
    return RequestOutput("r", None, [1, 2, 3], None, answers, finished, num_cached_tokens=2, metrics=times)


def test_a_bill_counts_prompts_once_and_answers_all() -> None:
    made = ModelMetrics("m")
    account = Account(made, [[1, 2, 3]], SamplingParams(n=2))
    times = RequestMetrics(arrival_time=10.0, first_scheduled_time=10.125, first_token_time=10.5)
    account.add(0, output({0: 2, 1: 1}, finished=False, times=times))
    times.finished_time = 12.5
    account.add(0, output({0: 3, 1: 4}, finished=True, times=times))
    account.close()
    assert account.usage() == {
        "prompt_tokens": 3,
        "total_tokens": 13,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    assert account.response_metrics() == {
        "time_to_first_token": 0.5,
        "generation_time": 2.0,
        "queue_time": 0.125,
        "tokens_per_second": 4.0,
    }
    value = samples(made)
    assert value["vllm:request_success_total", "length"] == 2
    assert value["vllm:time_to_first_token_seconds_sum", "0"] == 0.5
    assert value["vllm:e2e_request_latency_seconds_sum", "0"] == 2.5
    assert value["vllm:request_queue_time_seconds_sum", "0"] == 0.125
    assert value["vllm:request_prefill_time_seconds_sum", "0"] == 0.375
    assert value["vllm:request_inference_time_seconds_sum", "0"] == 2.375
    assert value["vllm:request_generation_tokens_sum", "0"] == 10
    assert value["vllm:prompt_tokens_by_source_total", "local_cache_hit"] == 2
    assert value["vllm:prompt_tokens_by_source_total", "local_compute"] == 1


def test_a_request_that_was_given_up_counts_as_aborted() -> None:
    made = ModelMetrics("m")
    account = Account(made, [[1], [2]], SamplingParams())
    account.close()
    assert account.response_metrics() is None
    value = samples(made)
    assert value["vllm:request_success_total", "abort"] == 2
    assert value["vllm:e2e_request_latency_seconds_count", "0"] == 0


@given(raw=st.binary(max_size=60))
def test_any_bytes_are_json_or_a_400(raw: bytes) -> None:
    try:
        expected = json.loads(raw.decode("utf-8"))
        json.dumps(expected, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        with pytest.raises(ApiError) as caught:
            parse_json(raw)
        assert caught.value.status_code == 400
        assert "\n" not in caught.value.message
    else:
        assert parse_json(raw) == expected


def test_usage_is_shown_where_it_is_asked_for_or_forced() -> None:
    settings = ServerSettings()
    options = {"include_usage": True, "continuous_usage_stats": True}
    assert shows_usage(chat(stream=True), settings) == (False, False)
    assert shows_usage(chat(stream=True, stream_options=options), settings) == (True, True)
    alone = {"continuous_usage_stats": True}
    assert shows_usage(chat(stream=True, stream_options=alone), settings) == (False, False)
    assert shows_usage(chat(stream=True), ServerSettings(force_include_usage=True)) == (True, True)


@pytest.mark.parametrize("kind", [ChatCompletionRequest, CompletionRequest, TokenizeRequest])
def test_a_list_is_judged_by_its_first_wrong_element(kind: type[BaseModel]) -> None:
    wrong = {
        "messages": [1] * 1000,
        "prompt": [None] * 1000,
        "stop": [1] * 1000,
        "stop_token_ids": ["x"] * 1000,
    }
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(wrong)
    assert caught.value.error_count() < 20
