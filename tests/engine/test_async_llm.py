"""The engine as a process of its own: streams, stops, deaths, replays. The model is tiny, the executor
the reference.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.helpers.models import tiny_gguf

from pagoda.engine.async_llm import (
    AsyncLLM,
    EngineDeadError,
    EngineStartError,
    PromptError,
    RequestFailedError,
)
from pagoda.engine.config import EngineConfig
from pagoda.engine.outputs import RequestOutput
from pagoda.engine.params import SamplingParams, StructuredOutputsParams

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT = "the cat and the dog"
LONG = SamplingParams(temperature=1.0, seed=11, max_tokens=300, ignore_eos=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("async") / "tiny.gguf")


def config(model: Path, **settings: Any) -> EngineConfig:
    return EngineConfig(model_path=str(model), executor="reference", **settings)


@asynccontextmanager
async def running(model: Path, **settings: Any) -> AsyncIterator[AsyncLLM]:
    llm = AsyncLLM.launch(config(model, **settings))
    try:
        await llm.wait_ready()
        yield llm
    finally:
        await llm.shutdown()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm(model: Path) -> AsyncIterator[AsyncLLM]:
    """One engine for all tests that leave it alive and idle."""
    async with running(model) as llm:
        yield llm


@pytest_asyncio.fixture(loop_scope="module")
async def mortal(model: Path) -> AsyncIterator[AsyncLLM]:
    """An engine of the test's own."""
    async with running(model) as llm:
        yield llm


async def collect(
    llm: AsyncLLM,
    params: SamplingParams,
    *,
    prompt: str | list[int] = PROMPT,
    when: Callable[[int], None] | None = None,
) -> tuple[list[int], str, RequestOutput]:
    """A whole stream of one answer; `when` is called with the number of tokens so far after each output."""
    token_ids: list[int] = []
    text = ""
    async for output in llm.generate(prompt, params, "r"):
        for answer in output.outputs:
            token_ids += answer.token_ids
            text += answer.text
        if when is not None:
            when(len(token_ids))
    return token_ids, text, output


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that must happen; the test's own limit is the limit."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def kill(llm: AsyncLLM) -> None:
    os.kill(llm.info.pid, signal.SIGKILL)


def once(count: int, action: Callable[[], None]) -> Callable[[int], None]:
    """Calls `action` the first time that there are `count` tokens."""
    done = False

    def check(tokens: int) -> None:
        nonlocal done
        if tokens >= count and not done:
            done = True
            action()

    return check


class TestStreams:
    async def test_pieces_are_the_whole(self, llm: AsyncLLM) -> None:
        token_ids, text, last = await collect(llm, LONG)
        assert len(token_ids) == 300
        assert last.finished
        assert last.outputs[0].finish_reason == "length"
        whole = [output async for output in llm.generate(PROMPT, LONG, "r", stream=False)]
        assert len(whole) == 1
        assert whole[0].outputs[0].token_ids == token_ids
        assert whole[0].outputs[0].text == text == llm.tokenizer.decode(token_ids)

    async def test_requests_run_together_and_stay_apart(self, llm: AsyncLLM) -> None:
        params = [
            SamplingParams(temperature=1.0, seed=i, max_tokens=20 + i, ignore_eos=True) for i in range(8)
        ]
        together = await asyncio.gather(*(collect(llm, each) for each in params))
        for each, (token_ids, _, _) in zip(params, together, strict=True):
            assert token_ids == (await collect(llm, each))[0]

    async def test_n_answers(self, llm: AsyncLLM) -> None:
        params = SamplingParams(n=3, temperature=1.0, seed=1, max_tokens=30, ignore_eos=True)
        texts = dict.fromkeys(range(3), "")
        async for output in llm.generate(PROMPT, params, "r"):
            assert output.outputs, "no empty outputs"
            for answer in output.outputs:
                texts[answer.index] += answer.text
        (whole,) = [output async for output in llm.generate(PROMPT, params, "r", stream=False)]
        assert [answer.text for answer in whole.outputs] == list(texts.values())

    async def test_a_stop_string_frees_the_engine(self, llm: AsyncLLM) -> None:
        _, text, _ = await collect(llm, LONG)
        stop = next(text[i : i + 2] for i in range(20, len(text) - 1) if text.index(text[i : i + 2]) == i)
        params = SamplingParams(temperature=1.0, seed=11, max_tokens=300, ignore_eos=True, stop=(stop,))
        _, cut, last = await collect(llm, params)
        assert cut == text[: text.index(stop)]
        assert (last.outputs[0].finish_reason, last.outputs[0].stop_reason) == ("stop", stop)
        await until(lambda: llm.stats.num_requests_running == 0)

    async def test_closing_a_stream_frees_the_engine(self, llm: AsyncLLM) -> None:
        before = llm.stats
        async with aclosing(llm.generate(PROMPT, LONG, "r")) as stream:
            await anext(stream)
        await until(lambda: llm.stats.steps > before.steps and llm.stats.num_requests_running == 0)
        assert llm.stats.generation_tokens - before.generation_tokens < 300

    async def test_cancelling_frees_the_engine(self, llm: AsyncLLM) -> None:
        before = llm.stats.generation_tokens
        reached = asyncio.Event()
        task = asyncio.create_task(collect(llm, LONG, when=once(5, reached.set)))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: llm.stats.num_requests_running == 0)
        assert llm.stats.generation_tokens - before < 300

    async def test_finished_requests_tell_their_times(self, llm: AsyncLLM) -> None:
        _, _, last = await collect(llm, SamplingParams(max_tokens=3, ignore_eos=True))
        metrics = last.metrics
        assert metrics is not None
        assert metrics.first_token_time is not None
        assert metrics.finished_time is not None
        assert metrics.arrival_time <= metrics.first_token_time <= metrics.finished_time

    async def test_what_the_prompt_shares_with_an_earlier_one_is_not_computed_again(
        self, llm: AsyncLLM
    ) -> None:
        short = SamplingParams(max_tokens=1)
        first = await collect(llm, short, prompt=[*range(70)])
        again = await collect(llm, short, prompt=[*range(70)])
        assert (first[2].num_cached_tokens, again[2].num_cached_tokens) == (0, 64)
        await llm.reset_prefix_cache()
        assert (await collect(llm, short, prompt=[*range(70)]))[2].num_cached_tokens == 0

    async def test_mistakes_are_told_at_once(self, llm: AsyncLLM) -> None:
        with pytest.raises(PromptError, match="maximum context length is 512 tokens") as caught:
            llm.generate([1] * 500, LONG, "r")
        assert caught.value.parameter == "input_tokens"
        with pytest.raises(PromptError, match="out of vocabulary"):
            llm.generate([10**6], LONG, "r")
        with pytest.raises(PromptError, match="Unicode"):
            llm.generate("\ud800", LONG, "r")
        with pytest.raises(PromptError, match="at least"):
            llm.generate("x" * 10**6, LONG, "r")
        grammar = SamplingParams(structured_outputs=StructuredOutputsParams(grammar="start: <|nothing|>"))
        with pytest.raises(PromptError, match="unknown special token") as caught:
            await collect(llm, grammar)
        assert caught.value.parameter == "structured_outputs"
        assert llm.status == "ready"


class TestDeaths:
    async def test_a_stream_goes_on_with_the_same_tokens(self, model: Path) -> None:
        async with running(model) as mortal:
            undisturbed = await collect(mortal, LONG)
            first = mortal.info.pid
            disturbed = await collect(mortal, LONG, when=once(50, lambda: kill(mortal)))
            assert disturbed[:2] == undisturbed[:2]
            assert mortal.info.pid != first
            assert (mortal.status, mortal.status_reason) == ("ready", None)
            assert mortal.stats.restarts == 1
            assert mortal.stats.generation_tokens >= 599, "counters go on"

    async def test_a_grammar_goes_on_where_it_was(self, mortal: AsyncLLM) -> None:
        numbers = StructuredOutputsParams(regex=r"([0-9]{3}-){40}")
        params = SamplingParams(temperature=1.0, seed=3, max_tokens=300, structured_outputs=numbers)
        undisturbed = await collect(mortal, params)
        disturbed = await collect(mortal, params, when=once(50, lambda: kill(mortal)))
        assert disturbed[:2] == undisturbed[:2]
        assert re.fullmatch(r"([0-9]{3}-){40}", disturbed[1])
        assert disturbed[2].outputs[0].finish_reason == "stop"

    async def test_everyone_goes_on(self, mortal: AsyncLLM) -> None:
        params = [
            SamplingParams(temperature=1.0, seed=i, max_tokens=150, ignore_eos=True, logprobs=1)
            for i in range(6)
        ]
        undisturbed = [await collect(mortal, each) for each in params]
        strike = once(60, lambda: kill(mortal))
        disturbed = await asyncio.gather(*(collect(mortal, each, when=strike) for each in params))
        assert [got[:2] for got in disturbed] == [got[:2] for got in undisturbed]
        assert mortal.stats.restarts == 1

    async def test_requests_that_come_while_it_restarts_are_served(self, mortal: AsyncLLM) -> None:
        expected = await collect(mortal, LONG)
        kill(mortal)
        await until(lambda: mortal.status == "degraded")
        assert "killed" in (mortal.status_reason or "")
        assert (await collect(mortal, LONG))[:2] == expected[:2]

    async def test_a_request_that_kills_it_twice_fails_with_the_reason_and_others_survive(
        self, mortal: AsyncLLM
    ) -> None:
        other = SamplingParams(temperature=1.0, seed=5, max_tokens=200, ignore_eos=True)
        expected = await collect(mortal, other)
        culprit = asyncio.create_task(collect(mortal, LONG, when=once(10, lambda: kill(mortal))))
        await until(lambda: mortal.status == "degraded")
        # It comes after the first death, so only the second one falls on it.
        survivor = asyncio.create_task(collect(mortal, other, when=once(10, lambda: kill(mortal))))
        with pytest.raises(
            RequestFailedError, match=r"was killed .* 2 times in a row while it worked on this request"
        ):
            await culprit
        assert (await survivor)[:2] == expected[:2]
        assert mortal.stats.restarts == 2
        assert (await collect(mortal, other))[:2] == expected[:2]

    async def test_an_aborted_request_is_not_replayed(self, mortal: AsyncLLM) -> None:
        async with aclosing(mortal.generate(PROMPT, LONG, "r")) as stream:
            await anext(stream)
            kill(mortal)
            await until(lambda: mortal.status == "degraded")
        await until(lambda: mortal.status == "ready")
        assert len((await collect(mortal, SamplingParams(max_tokens=2, ignore_eos=True)))[0]) == 2
        assert mortal.stats.num_requests_running == 0

    async def test_one_that_cannot_start_again_is_dead(self, model: Path, tmp_path: Path) -> None:
        copy = tmp_path / "copy.gguf"
        copy.write_bytes(model.read_bytes())
        async with running(copy) as mortal:
            task = asyncio.create_task(
                collect(mortal, LONG, when=once(5, lambda: (copy.unlink(), kill(mortal))[0]))
            )
            with pytest.raises(EngineDeadError, match=r"copy\.gguf"):
                await task
            assert mortal.status == "dead"
            assert "copy.gguf" in (mortal.status_reason or "")
            with pytest.raises(EngineDeadError, match=r"copy\.gguf"):
                mortal.generate(PROMPT, LONG, "r")


class TestStart:
    async def test_mistakes_are_one_line(self, model: Path, tmp_path: Path) -> None:
        for wrong, words in (
            (config(tmp_path / "none.gguf"), "none.gguf"),
            (config(model, max_model_len=10_000), "own limit is 512"),
        ):
            llm = AsyncLLM.launch(wrong)
            with pytest.raises(EngineStartError, match=words) as caught:
                await llm.wait_ready()
            assert "\n" not in str(caught.value)
            assert llm.status == "dead"
            await llm.shutdown()

    async def test_a_death_while_loading_is_told(self, model: Path) -> None:
        llm = AsyncLLM.launch(config(model))
        process = llm._supervisor._process  # before it is ready nothing else knows its number
        assert process is not None
        process.process.kill()
        with pytest.raises(EngineStartError, match="was killed"):
            await llm.wait_ready()
        await llm.shutdown()

    async def test_shutdown_ends_the_process_and_what_runs(self, model: Path) -> None:
        async with running(model) as llm:
            pid = llm.info.pid
            reached = asyncio.Event()
            task = asyncio.create_task(collect(llm, LONG, when=once(5, reached.set)))
            await reached.wait()
            await llm.shutdown()
            _, _, last = await task
            assert last.outputs[0].finish_reason == "abort"
            assert not Path(f"/proc/{pid}").exists()
            assert llm.status == "dead"

    async def test_shutdown_while_loading(self, model: Path) -> None:
        llm = AsyncLLM.launch(config(model))
        ready = asyncio.create_task(llm.wait_ready())
        await asyncio.sleep(0)
        await llm.shutdown()
        with pytest.raises(EngineStartError, match="was shut down"):
            await ready


PARENT = """
import asyncio, sys
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.config import EngineConfig

async def main():
    llm = AsyncLLM.launch(EngineConfig(model_path=sys.argv[1], executor="reference"))
    print((await llm.wait_ready()).pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


class TestProcess:
    async def test_it_dies_with_its_parent(self, model: Path) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", PARENT, str(model)], stdout=subprocess.PIPE, text=True
        ) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert is_alive(pid)
            engine = os.pidfd_open(pid)
            parent.kill()
            try:
                ended = wait_for_end(engine)
            finally:
                os.close(engine)
        assert ended

    async def test_it_leaves_interrupts_to_the_server(self, llm: AsyncLLM) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(llm.info.pid, number)
        assert len((await collect(llm, LONG))[0]) == 300
        assert llm.stats.restarts == 0

    async def test_it_sleeps_when_there_is_nothing_to_do(self, llm: AsyncLLM) -> None:
        await collect(llm, LONG)
        await until(lambda: llm.stats.num_requests_running == 0)
        await until(lambda: state(llm.info.pid) == "S")
        before = cpu_ticks(llm.info.pid)
        await asyncio.sleep(1.0)
        assert cpu_ticks(llm.info.pid) - before <= 2, "hundredths of a second, of the one that passed"


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and state(pid) != "Z"


def wait_for_end(pidfd: int) -> bool:
    """Whether a process ends within the limit of a test."""
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(30_000))


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
