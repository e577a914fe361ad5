from __future__ import annotations

import pytest
from tests.engine.toy import EOS, VOCAB, ToyExecutor, add, alone, run, tokens, toy_engine, toy_logits

from pagoda.engine.core import EngineCore
from pagoda.engine.messages import TokenDelta


def last(deltas: list[TokenDelta]) -> TokenDelta:
    assert [d.finish_reason for d in deltas[:-1]] == [None] * (len(deltas) - 1)
    return deltas[-1]


def said(engine: EngineCore, **params: object) -> tuple[list[int], TokenDelta]:
    """The tokens and the last delta of one request about the prompt 1, 2, 3."""
    deltas = run(engine, add("r", [1, 2, 3], **params))["r"]
    return tokens(deltas), last(deltas)


class TestEnd:
    def test_length(self) -> None:
        got, end = said(toy_engine()[0], max_tokens=7, ignore_eos=True)
        assert len(got) == 7
        assert (end.finish_reason, end.stop_reason) == ("length", None)

    def test_the_context_is_a_length_too(self) -> None:
        engine, _ = toy_engine(max_model_len=40)
        got, end = said(engine, max_tokens=None, ignore_eos=True)
        assert len(got) == 40 - 3
        assert end.finish_reason == "length"

    def test_end_token(self) -> None:
        free, _ = said(toy_engine()[0], max_tokens=20, ignore_eos=True)
        got, end = said(toy_engine()[0], max_tokens=20, eos_token_ids=(free[4],))
        assert got == free[: free.index(free[4]) + 1], "the end token is counted and sent"
        assert (end.finish_reason, end.stop_reason) == ("stop", None)

    def test_ignore_eos_does_not_ignore_stop_tokens(self) -> None:
        free, _ = said(toy_engine()[0], max_tokens=20, ignore_eos=True)
        stop = free[6]
        got, end = said(
            toy_engine()[0], max_tokens=20, ignore_eos=True, eos_token_ids=(free[2],), stop_token_ids=(stop,)
        )
        assert got == free[: free.index(stop) + 1]
        assert (end.finish_reason, end.stop_reason) == ("stop", stop)

    def test_min_tokens_keeps_end_and_stop_tokens_away(self) -> None:
        free, _ = said(toy_engine()[0], max_tokens=20, ignore_eos=True)
        banned = (free[0], free[1])
        got, _ = said(
            toy_engine()[0], max_tokens=20, min_tokens=5, eos_token_ids=banned[:1], stop_token_ids=banned[1:]
        )
        assert len(got) >= 5
        assert not set(got[:5]) & set(banned)
        whole, _ = said(toy_engine()[0], max_tokens=5, min_tokens=5, eos_token_ids=banned[:1])
        assert len(whole) == 5
        later = next(token for token in free[8:] if token not in free[:8])
        got, end = said(toy_engine()[0], max_tokens=20, min_tokens=8, eos_token_ids=(later,))
        assert got == free[: free.index(later) + 1], "from then on they end it"
        assert end.finish_reason == "stop"


class TestCache:
    def test_the_second_time_only_the_rest_is_computed(self) -> None:
        engine, executor = toy_engine()
        prompt = [*range(40), *range(40)]
        first = run(engine, add("a", prompt, max_tokens=4, ignore_eos=True))["a"]
        before = executor.tokens
        second = run(engine, add("b", prompt, max_tokens=4, ignore_eos=True))["b"]
        assert tokens(first) == tokens(second)
        assert executor.tokens - before == 16 + 3, "80 - 64 of the prompt, and 3 tokens to go on from"
        assert [d.num_cached_tokens for d in first] == [0, -1, -1, -1]
        assert [d.num_cached_tokens for d in second] == [64, -1, -1, -1]
        assert (engine.stats().prefix_cache_queries, engine.stats().prefix_cache_hits) == (160, 64)

    def test_a_token_is_computed_even_when_all_is_cached(self) -> None:
        engine, _ = toy_engine()
        prompt = [5] * 64
        run(engine, add("a", prompt, max_tokens=3, ignore_eos=True))
        (first, *_) = run(engine, add("b", prompt, max_tokens=3, ignore_eos=True))["b"]
        assert first.num_cached_tokens == 32

    def test_an_answer_is_cached_for_the_next_turn(self) -> None:
        engine, _ = toy_engine()
        answer = tokens(run(engine, add("a", [1] * 20, max_tokens=50, ignore_eos=True))["a"])
        (first, *_) = run(engine, add("b", [*[1] * 20, *answer, 2], max_tokens=1))["b"]
        assert first.num_cached_tokens == 64, "two blocks of the 69 tokens that were computed"

    @pytest.mark.parametrize(("caching", "salt"), [(False, ""), (True, "other")])
    def test_nothing_is_shared(self, caching: bool, salt: str) -> None:
        engine, _ = toy_engine(caching=caching)
        run(engine, add("a", [1] * 80, max_tokens=1))
        (first, *_) = run(engine, add("b", [1] * 80, max_tokens=1, cache_salt=salt))["b"]
        assert first.num_cached_tokens == 0

    def test_reset(self) -> None:
        engine, _ = toy_engine()
        run(engine, add("a", [1] * 80, max_tokens=1))
        engine.reset_prefix_cache()
        assert run(engine, add("b", [1] * 80, max_tokens=1))["b"][0].num_cached_tokens == 0

    def test_answers_to_one_prompt_wait_for_its_cache(self) -> None:
        engine, executor = toy_engine(max_tokens=512)
        prompt = [*range(60)] * 4
        commands = [add(f"r{i}", prompt, max_tokens=2, temperature=1.0, seed=i) for i in range(4)]
        news = run(engine, *commands)
        assert {name: tokens(deltas) for name, deltas in news.items()} == {
            c.request_id: alone(c) for c in commands
        }
        assert executor.tokens == 240 + 3 * 16 + 4 * 1, "240 tokens once, then 16 each, and one step of all"


class TestPreemption:
    def test_the_latest_makes_way_and_says_the_same(self) -> None:
        engine, _ = toy_engine(num_blocks=8, max_model_len=128)
        commands = [add(f"r{i}", [i] * 30, max_tokens=90, ignore_eos=True) for i in range(3)]
        order: list[str] = []
        for command in commands:
            engine.add_request(command)
        news: dict[str, list[int]] = {}
        while engine.has_work():
            for delta in engine.step().deltas:
                news.setdefault(delta.request_id, []).extend(delta.token_ids)
                if delta.finish_reason:
                    order.append(delta.request_id)
        assert engine.stats().num_preemptions > 0
        assert order == ["r0", "r1", "r2"]
        assert news == {command.request_id: alone(command, 128) for command in commands}

    def test_priority_decides_who_makes_way(self) -> None:
        engine, _ = toy_engine(num_blocks=5, max_model_len=128)
        news: list[str] = []
        engine.add_request(add("early", [1] * 30, max_tokens=70, ignore_eos=True, priority=1))
        engine.step()
        engine.add_request(add("urgent", [2] * 30, max_tokens=70, ignore_eos=True, priority=0))
        while engine.has_work():
            news += [d.request_id for d in engine.step().deltas if d.finish_reason]
        assert engine.stats().num_preemptions > 0
        assert news == ["urgent", "early"]


class TestFailure:
    def test_the_executor_fails_for_one_request_alone(self) -> None:
        engine, _ = toy_engine(poison=50)
        commands = [add(f"r{i}", [i] * 10, max_tokens=30, ignore_eos=True) for i in range(3)]
        news = run(engine, commands[0], add("bad", [1, 50, 3]), *commands[1:])
        assert news.pop("bad") == [TokenDelta("bad", [], "error", error="poisoned context")]
        for command in commands:
            expected = alone(command)
            if 50 in expected:  # its own answer poisons it
                expected = expected[: expected.index(50) + 1]
            assert tokens(news[command.request_id]) == expected
        assert engine.stats().kv_cache_usage == 0

    def test_rows_that_are_not_finite_fail_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine, _ = toy_engine()
        step = ToyExecutor.step

        def broken(self: ToyExecutor, batch: object) -> object:
            logits = step(self, batch)  # type: ignore[arg-type]
            logits[0] = float("nan")
            return logits

        engine.add_request(add("bad", [1], max_tokens=4))
        engine.add_request(add("good", [2], max_tokens=4, ignore_eos=True))
        monkeypatch.setattr(ToyExecutor, "step", broken)
        (bad, good) = engine.step().deltas
        monkeypatch.undo()
        assert (bad.request_id, bad.finish_reason, bad.token_ids) == ("bad", "error", [])
        assert "\n" not in (bad.error or "\n")
        rest = run(engine)["good"]
        assert tokens([good, *rest]) == alone(add("good", [2], max_tokens=4, ignore_eos=True))

    @pytest.mark.parametrize(
        ("prompt", "reason"),
        [([], "empty"), ([1] * 256, "no room"), ([1, VOCAB], "vocabulary"), ([-1], "vocabulary")],
    )
    def test_what_can_never_run_is_answered(self, prompt: list[int], reason: str) -> None:
        engine, executor = toy_engine()
        (delta,) = run(engine, add("r", prompt))["r"]
        assert delta.finish_reason == "error"
        assert reason in (delta.error or "")
        assert executor.batches == 0

    def test_an_id_in_use_is_refused_and_the_first_goes_on(self) -> None:
        engine, _ = toy_engine()
        engine.add_request(add("r", [1], max_tokens=3, ignore_eos=True))
        engine.step()
        engine.add_request(add("r", [2], max_tokens=3, ignore_eos=True))
        reasons = [d.finish_reason for d in run(engine)["r"]]
        assert sorted(reasons, key=str) == [None, "error", "length"]


class TestAbort:
    def test_frees_running_and_waiting_requests_at_once(self) -> None:
        engine, _ = toy_engine(max_num_seqs=1)
        engine.add_request(add("a", [1] * 50, max_tokens=100, ignore_eos=True))
        engine.add_request(add("b", [1] * 50, max_tokens=100, ignore_eos=True))
        engine.step()
        assert (engine.stats().num_requests_running, engine.stats().num_requests_waiting) == (1, 1)
        engine.abort("b")
        engine.abort("a")
        engine.abort("never heard of")
        assert engine.stats().kv_cache_usage == 0
        assert engine.step().deltas == [TokenDelta("b", [], "abort"), TokenDelta("a", [], "abort")]
        assert not engine.has_work()


class TestLogprobs:
    def test_of_the_prompt(self) -> None:
        engine, _ = toy_engine(max_tokens=16)
        prompt = [*range(50)]
        first, second = run(
            engine, add("r", prompt, prompt_logprobs=2, logprobs=0, max_tokens=2, ignore_eos=True)
        )["r"]
        assert second.prompt_logprobs is None
        assert first.prompt_logprobs is not None
        assert first.prompt_logprobs[0] is None
        assert [p.token_id for p in first.prompt_logprobs if p is not None] == prompt[1:]
        import numpy as np

        for position in (1, 17, 49):
            logits = toy_logits(np.array(prompt[:position], np.int32)).astype(np.float64)
            found = first.prompt_logprobs[position]
            assert found is not None
            assert found.logprob == pytest.approx(
                logits[prompt[position]] - np.log(np.exp(logits).sum()), abs=1e-4
            )
            assert found.top_token_ids == list(np.argsort(-logits, kind="stable")[:2])
        assert first.logprobs is not None
        assert [found.token_id for found in first.logprobs] == first.token_ids

    def test_of_the_prompt_do_not_depend_on_cache_chunks_or_preemption(self) -> None:
        prompt = [*range(60), *range(40)]
        command = add("p", prompt, prompt_logprobs=1, max_tokens=40, ignore_eos=True)
        expected = run(toy_engine(max_tokens=512)[0], command)["p"][0].prompt_logprobs
        engine, _ = toy_engine(num_blocks=8, max_tokens=24)
        others = [add(f"o{i}", [i] * 40, max_tokens=100, ignore_eos=True) for i in range(2)]
        news = run(engine, *others, add("warm", prompt, max_tokens=1), command)
        assert news["p"][0].prompt_logprobs == expected
        assert tokens(news["p"]) == alone(command)

    def test_of_a_prompt_that_is_preempted_half_way(self) -> None:
        prompt = [*range(60), *range(34)]
        command = add("p", prompt, prompt_logprobs=1, max_tokens=3, ignore_eos=True)
        expected = run(toy_engine(max_tokens=512)[0], command)["p"][0].prompt_logprobs
        engine, _ = toy_engine(num_blocks=9, max_tokens=3, max_num_seqs=3)
        for number in range(2):
            engine.add_request(add(f"o{number}", [number] * 30, max_tokens=80, ignore_eos=True))
        while engine.stats().generation_tokens < 5:
            engine.step()
        news = run(engine, command)
        assert engine.stats().num_preemptions > 0
        assert news["p"][0].prompt_logprobs == expected


def test_an_end_token_of_the_vocabulary_ends() -> None:
    """The end token also ends an answer that reaches it by chance, at temperature 1."""
    engine, _ = toy_engine()
    got, end = said(engine, max_tokens=200, temperature=1.0, seed=3, eos_token_ids=(EOS,))
    assert got.index(EOS) == len(got) - 1
    assert end.finish_reason == "stop"
