from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.models import tiny_gguf

from pagoda.engine.messages import TokenDelta, TokenLogprobs
from pagoda.engine.params import SamplingParams
from pagoda.engine.processor import Answer, RequestFailedError, RequestState
from pagoda.engine.validation import PromptError
from pagoda.text.load import load_tokenizer
from pagoda.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load_tokenizer(tiny_gguf(tmp_path_factory.mktemp("processor") / "tiny.gguf"))


def pieces(token_ids: list[int], cuts: list[int]) -> list[list[int]]:
    edges = sorted({0, len(token_ids), *(cut for cut in cuts if cut <= len(token_ids))})
    return [token_ids[a:b] for a, b in pairwise(edges)]


@given(
    token_ids=st.lists(st.integers(0, 319), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 40)),
    stop=st.sampled_from([(), ("e",), (" t", "an"), ("the ",)]),
    reads=st.lists(st.booleans(), min_size=41, max_size=41),
)
def test_however_tokens_come_and_are_taken_the_answer_is_the_same(
    tokenizer: Tokenizer, token_ids: list[int], cuts: list[int], stop: tuple[str, ...], reads: list[bool]
) -> None:
    params = SamplingParams(stop=stop, max_tokens=100)

    def build(
        parts: list[list[int]], take: list[bool]
    ) -> tuple[str, list[int], str | None, int | str | None]:
        answer = Answer(0, params, tokenizer, [1])
        text, ids = "", []
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            answer.push(TokenDelta("r", part, "length" if last else None))
            if take[number] or last:
                output = answer.take()
                text += output.text
                ids += output.token_ids
        assert answer.num_tokens == len(ids)
        return text, ids, answer.finish_reason, answer.stop_reason

    whole = build([token_ids], [True])
    assert build(pieces(token_ids, cuts), reads) == whole
    text, ids, finish_reason, stop_reason = whole
    assert token_ids[: len(ids)] == ids
    if stop_reason is None:
        assert finish_reason == "length"
        assert text == tokenizer.decode(token_ids)
    else:
        assert finish_reason == "stop"
        assert not any(word in text for word in stop)
        assert text + str(stop_reason) in tokenizer.decode(ids)


def test_the_end_token_is_counted_and_not_shown(tokenizer: Tokenizer) -> None:
    (end,) = tokenizer.eos_token_ids[:1]
    for include, expected in ((False, ""), (True, "<|im_end|>")):
        params = SamplingParams(skip_special_tokens=False, include_stop_str_in_output=include)
        answer = Answer(0, params, tokenizer, [1])
        answer.push(TokenDelta("r", [end], "stop"))
        output = answer.take()
        assert (output.text, output.token_ids, output.finish_reason) == (expected, [end], "stop")


def test_logprobs_end_where_the_tokens_end(tokenizer: Tokenizer) -> None:
    params = SamplingParams(logprobs=0, stop=("b",))
    ids = [tokenizer.encode(letter)[0] for letter in "abc"]
    answer = Answer(0, params, tokenizer, [1])
    answer.push(TokenDelta("r", ids, None, None, [TokenLogprobs(index, -1.0, 1, [], []) for index in ids]))
    output = answer.take()
    assert output.text == "a"
    assert output.token_ids == ids[:2]
    assert output.logprobs is not None
    assert [list(entry) for entry in output.logprobs] == [[ids[0]], [ids[1]]]
    assert output.cumulative_logprob == -2.0


class TestRequestState:
    def make(self, tokenizer: Tokenizer, n: int = 2, **params: int) -> RequestState:
        return RequestState("r", "p", [1, 2], SamplingParams(n=n, **params), tokenizer, seed=2**64 - 1)

    def test_parts_differ_in_their_seed_alone(self, tokenizer: Tokenizer) -> None:
        first, second = self.make(tokenizer, prompt_logprobs=1).commands("x.", user="ann")
        assert (first.request_id, second.request_id) == ("x.0", "x.1")
        assert (first.params.seed, second.params.seed) == (2**64 - 1, 0)
        assert (first.params.n, first.params.prompt_logprobs, second.params.prompt_logprobs) == (1, 1, None)
        assert second.user == "ann"

    def test_only_answers_with_news_are_in_an_output(self, tokenizer: Tokenizer) -> None:
        state = self.make(tokenizer)
        assert not state.push(1, TokenDelta("x.1", [70], num_cached_tokens=0))
        assert [answer.index for answer in state.take().outputs] == [1]
        assert not state.push(0, TokenDelta("x.0", [71], "length"))
        output = state.take()
        assert [answer.index for answer in output.outputs] == [0]
        assert not output.finished
        assert state.unfinished() == [1]
        state.push(1, TokenDelta("x.1", [72], "length"))
        assert state.take().finished
        assert state.num_output_tokens == 3

    def test_a_stop_string_asks_for_an_abort_once(self, tokenizer: Tokenizer) -> None:
        state = RequestState("r", "p", [1], SamplingParams(stop=("b",)), tokenizer, seed=0)
        (b,) = tokenizer.encode("b")
        assert state.push(0, TokenDelta("x.0", [b]))
        assert state.finished
        assert not state.push(0, TokenDelta("x.0", [b], "length")), "late news changes nothing"
        assert state.take().outputs[0].stop_reason == "b"

    def test_errors_are_raised(self, tokenizer: Tokenizer) -> None:
        with pytest.raises(RequestFailedError, match=r"^out of luck$"):
            self.make(tokenizer).push(0, TokenDelta("x.0", [], "error", error="out of luck"))

    def test_what_the_engine_refuses_is_the_requests_own_error(self, tokenizer: Tokenizer) -> None:
        with pytest.raises(PromptError, match="too complex") as caught:
            self.make(tokenizer).push(0, TokenDelta("x.0", [], "error", error="too complex", refused=True))
        assert caught.value.parameter == "structured_outputs"

    def test_bad_words_go_to_the_engine_as_they_are_written(self, tokenizer: Tokenizer) -> None:
        state = RequestState("r", "p", [1], SamplingParams(bad_words=("hello", " hello")), tokenizer, seed=0)
        (command,) = state.commands("x.")
        assert command.bad_words_token_ids == [tokenizer.encode("hello"), tokenizer.encode(" hello")]
        without = RequestState("r", "p", [1], SamplingParams(bad_words=("hello",)), None, seed=0)
        with pytest.raises(PromptError, match="bad_words needs a tokenizer"):
            without.commands("x.")

    def test_the_last_token_of_a_grammar_is_text(self, tokenizer: Tokenizer) -> None:
        (b,) = tokenizer.encode("b")
        for ends_with_text, text in ((True, "bb"), (False, "b")):
            state = RequestState("r", "p", [1], SamplingParams(), tokenizer, seed=0)
            state.push(0, TokenDelta("x.0", [b]))
            state.push(0, TokenDelta("x.0", [b], "stop", ends_with_text=ends_with_text))
            output = state.take().outputs[0]
            assert (output.text, output.token_ids) == (text, [b, b])

    def test_logprobs_by_token_id_come_after_the_others(self, tokenizer: Tokenizer) -> None:
        state = RequestState("r", "p", [1], SamplingParams(logprob_token_ids=(70, 72)), tokenizer, seed=0)
        found = TokenLogprobs(70, -1.0, 2, [71], [-0.5], [(70, -1.0, 2), (72, -9.0, 8)])
        state.push(0, TokenDelta("x.0", [70], logprobs=[found]))
        (position,) = state.take().outputs[0].logprobs or []
        assert [(token, entry.rank) for token, entry in position.items()] == [(70, 2), (71, 1), (72, 8)]
