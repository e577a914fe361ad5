"""Vectors through an engine process: right ones, given up ones, and ones that live through its death."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from tests.helpers import goldens

from pagoda.engine.async_llm import AsyncLLM, EngineDeadError, RequestFailedError
from pagoda.engine.config import EngineConfig
from pagoda.engine.messages import PoolingTask
from pagoda.engine.pooling_inputs import PoolingInput

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPTS = [PoolingInput(list(range(start, start + 60))) for start in range(0, 180, 3)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm() -> AsyncIterator[AsyncLLM]:
    config = EngineConfig(model_path=str(goldens.FOLDER / "bert"), executor="reference")
    llm = AsyncLLM.launch(config)
    try:
        await llm.wait_ready()
        yield llm
    finally:
        await llm.shutdown()


async def idle(llm: AsyncLLM) -> None:
    """Until the engine has told that nothing runs or waits."""
    while True:
        await llm.embed(PROMPTS[0], "poke")
        if not llm.stats.num_requests_running and not llm.stats.num_requests_waiting:
            return


async def test_many_at_once_give_what_each_gives_alone(llm: AsyncLLM) -> None:
    together = await asyncio.gather(*(llm.embed(prompt, "r") for prompt in PROMPTS))
    for prompt, vector in zip(PROMPTS[::7], together[::7], strict=True):
        np.testing.assert_array_equal(await llm.embed(prompt, "r"), vector)
        assert abs(np.linalg.norm(vector) - 1) < 1e-5


async def test_vectors_of_all_tokens(llm: AsyncLLM) -> None:
    states = await llm.embed(PROMPTS[0], "r", PoolingTask(every_token=True))
    assert states.shape == (60, 64)


async def test_a_cancelled_request_is_freed_and_others_go_on(llm: AsyncLLM) -> None:
    tasks = [asyncio.ensure_future(llm.embed(prompt, "r")) for prompt in PROMPTS]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert all(isinstance(result, np.ndarray) for result in results[1::2])
    await idle(llm)
    assert llm.stats.kv_cache_usage == 0


async def test_a_prompt_that_the_engine_refuses_fails_alone(llm: AsyncLLM) -> None:
    with pytest.raises(RequestFailedError, match="vocabulary"):
        await llm.embed(PoolingInput([999]), "r")
    assert (await llm.embed(PROMPTS[0], "r")).shape == (64,)


async def test_requests_live_through_the_engines_death(llm: AsyncLLM) -> None:
    expected = await asyncio.gather(*(llm.embed(prompt, "r") for prompt in PROMPTS))
    restarts = llm.stats.restarts
    tasks = [asyncio.ensure_future(llm.embed(prompt, "r")) for prompt in PROMPTS]
    await asyncio.sleep(0)
    os.kill(llm.info.pid, signal.SIGKILL)
    found = await asyncio.gather(*tasks)
    np.testing.assert_array_equal(found, expected)
    assert llm.stats.restarts == restarts + 1


async def test_an_engine_that_is_shut_down_says_so() -> None:
    llm = AsyncLLM.launch(EngineConfig(model_path=str(goldens.FOLDER / "bert"), executor="reference"))
    await llm.wait_ready()
    await llm.shutdown()
    with pytest.raises(EngineDeadError):
        await llm.embed(PROMPTS[0], "r")
