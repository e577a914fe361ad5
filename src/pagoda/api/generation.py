"""Runs the prompts of one HTTP request, together and as one stream of outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

from pagoda.api.protocol.common import GenerationRequest
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.messages import ReasoningTokens
from pagoda.engine.outputs import RequestOutput
from pagoda.engine.params import SamplingParams

Outputs = AsyncGenerator[tuple[int, RequestOutput], None]
_END = object()


def start(
    llm: AsyncLLM,
    prompts: Sequence[Sequence[int]],
    params: SamplingParams,
    request: GenerationRequest,
    request_id: str,
    *,
    stream: bool,
    reasoning: ReasoningTokens | None = None,
) -> Outputs:
    """Validates every prompt now (PromptError), runs them when the first output is asked for.

    Gives (number of the prompt, output). Closing it frees all of them in the engine at once.
    """
    streams = [
        llm.generate(
            prompt,
            params,
            f"{request_id}-{number}",
            stream=stream,
            priority=request.priority or 0,
            cache_salt=request.cache_salt or "",
            user=request.user or "",
            reasoning=reasoning,
        )
        for number, prompt in enumerate(prompts)
    ]
    return _single(streams[0]) if len(streams) == 1 else _merged(streams)


async def _single(stream: AsyncIterator[RequestOutput]) -> Outputs:
    async with aclosing(cast(AsyncGenerator[RequestOutput, None], stream)) as outputs:
        async for output in outputs:
            yield 0, output


async def _merged(streams: Sequence[AsyncIterator[RequestOutput]]) -> Outputs:
    queue: asyncio.Queue[tuple[int, RequestOutput | object]] = asyncio.Queue()

    async def pump(number: int, stream: AsyncIterator[RequestOutput]) -> None:
        try:
            async with aclosing(cast(AsyncGenerator[RequestOutput, None], stream)) as outputs:
                async for output in outputs:
                    queue.put_nowait((number, output))
        finally:
            queue.put_nowait((number, _END))

    tasks = [asyncio.ensure_future(pump(number, stream)) for number, stream in enumerate(streams)]
    try:
        running = len(tasks)
        while running:
            number, output = await queue.get()
            if isinstance(output, RequestOutput):
                yield number, output
                continue
            running -= 1
            await tasks[number]  # raises what its prompt failed with
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
