"""Who is to blame when the engine dies: an engine process of the toy executor that a certain request
really kills.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.engine.toy import DEADLY, DEADLY_LENGTH, STUCK, add, alone, tokens

from pagoda.engine.config import EngineConfig
from pagoda.engine.launcher import EngineProcess
from pagoda.engine.messages import AddRequest, TokenDelta
from pagoda.engine.supervisor import EngineStartError, EngineSupervisor

FRAGILE = (str(Path(__file__).with_name("fragile_process.py")),)


@asynccontextmanager
async def supervised(
    program: tuple[str, ...] = FRAGILE, step_timeout: float = 600.0
) -> AsyncIterator[EngineSupervisor]:
    start = partial(EngineProcess.start, program=program)
    supervisor = EngineSupervisor(EngineConfig(model_path="toy", step_timeout=step_timeout), start)
    supervisor.start()
    try:
        yield supervisor
    finally:
        await supervisor.shutdown()


async def answers(supervisor: EngineSupervisor, *commands: AddRequest) -> dict[str, list[TokenDelta]]:
    """Runs all requests to their end."""
    news: dict[str, list[TokenDelta]] = {command.request_id: [] for command in commands}
    left = set(news)
    done = asyncio.Event()

    def deliver(delta: TokenDelta) -> None:
        news[delta.request_id].append(delta)
        if delta.finish_reason is not None:
            left.remove(delta.request_id)
        if not left:
            done.set()

    for command in commands:
        supervisor.add(command, deliver)
    async with asyncio.timeout(60):
        await done.wait()
    return news


def innocent(number: int) -> AddRequest:
    return add(f"r{number}", [number] * 40, max_tokens=100, ignore_eos=True, temperature=1.0, seed=number)


async def test_the_one_that_kills_is_found_and_all_others_go_on() -> None:
    culprit = add("bad", [DEADLY] * 30, max_tokens=100, ignore_eos=True)
    others = [innocent(number) for number in range(5)]
    async with supervised() as supervisor:
        await supervisor.wait_ready()
        news = await answers(supervisor, *others[:2], culprit, *others[2:])
        assert supervisor.stats.restarts == 2
        assert supervisor.status == "ready"
    for other in others:
        assert tokens(news[other.request_id]) == alone(other)
    *sent, end = news["bad"]
    said = tokens(sent)
    assert len(said) > 0
    assert said == alone(culprit)[: len(said)], "what it said before it killed was delivered once"
    assert len(said) == DEADLY_LENGTH - 30
    assert end.finish_reason == "error"
    assert "crashed (signal SIGABRT) 2 times in a row while it worked on this request" in (end.error or "")


async def test_two_that_kill_are_both_found() -> None:
    culprits = [add(f"bad{i}", [DEADLY, i] * 24, max_tokens=100, ignore_eos=True) for i in range(2)]
    other = innocent(1)
    async with supervised() as supervisor:
        await supervisor.wait_ready()
        news = await answers(supervisor, *culprits, other)
    assert tokens(news[other.request_id]) == alone(other)
    assert [news[culprit.request_id][-1].finish_reason for culprit in culprits] == ["error", "error"]


PARENT = """
import asyncio, sys
from tests.engine.test_supervisor import answers, supervised
from tests.engine.toy import STUCK, add

async def main():
    async with supervised() as supervisor:
        await supervisor.wait_ready()
        await answers(supervisor, add("r", [STUCK]))

asyncio.run(main())
"""


async def test_it_dies_with_its_parent_even_in_the_middle_of_a_step() -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment
    )
    with parent:
        assert parent.stdout is not None
        engine = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        try:
            assert select.select([engine], [], [], 30)[0], "a pidfd is readable when its process has ended"
        except AssertionError:
            signal.pidfd_send_signal(engine, signal.SIGKILL)
            raise
        finally:
            os.close(engine)


async def test_a_program_that_never_gets_ready_is_not_started_for_ever() -> None:
    async with supervised(("-c", "import sys; sys.exit(9)")) as supervisor:
        with pytest.raises(EngineStartError, match="ended with exit status 9"):
            await supervisor.wait_ready()
        assert supervisor.status == "dead"


async def test_one_that_hangs_the_engine_is_failed_and_others_go_on() -> None:
    culprit, other = add("bad", [STUCK] * 30, max_tokens=9), innocent(1)
    async with supervised(step_timeout=1.0) as supervisor:
        await supervisor.wait_ready()
        news = await answers(supervisor, other, culprit)
        assert supervisor.stats.restarts == 2
    assert tokens(news[other.request_id]) == alone(other)
    [end] = news["bad"]
    assert end.finish_reason == "error"
    assert "was stuck in a step for 1 s 2 times in a row" in (end.error or "")
