"""Runs the prompts of one HTTP request, together and as one stream of outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from pagoda.api.protocol.common import GenerationRequest
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.generation import Generation
from pagoda.engine.messages import ReasoningTokens
from pagoda.engine.outputs import RequestOutput
from pagoda.engine.params import SamplingParams


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
    """Validates every prompt now (PromptError), runs them when the outputs are started or read."""
    return Outputs(
        [
            llm.begin(
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
    )


class Outputs:
    """(number of the prompt, output) of every prompt of a request, as they come.

    Either read by `async for`, or by `start` and `take`. Closing frees all prompts in the engine at once.
    """

    def __init__(self, generations: Sequence[Generation]) -> None:
        self._generations = generations
        self._fresh: list[int] = []  # prompts with news
        self._on_news: Callable[[], None] | None = None

    def start(self, on_news: Callable[[], None]) -> None:
        """Asks the engine. `on_news` is called, later, when there is something to take. Raises
        EngineDeadError.
        """
        self._on_news = on_news
        for number, generation in enumerate(self._generations):
            generation.start(partial(self._note, number))

    def listen(self, on_news: Callable[[], None]) -> None:
        """Calls this one from now on."""
        self._on_news = on_news

    @property
    def finished(self) -> bool:
        """Whether what `take` gives now is the last."""
        return all(generation.finished for generation in self._generations)

    def take(self) -> list[tuple[int, RequestOutput]]:
        """What is new. Raises RequestFailedError or EngineDeadError."""
        fresh, self._fresh = self._fresh, []
        return [(number, self._generations[number].take()) for number in fresh]

    def close(self) -> None:
        """May be called twice, and before `start`."""
        self._on_news = None
        for generation in self._generations:
            generation.close()

    async def __aiter__(self) -> AsyncIterator[tuple[int, RequestOutput]]:
        arrived = asyncio.Event()
        self.start(arrived.set)
        finished = False
        while not finished:
            await arrived.wait()
            arrived.clear()
            finished = self.finished
            for news in self.take():
                yield news

    async def aclose(self) -> None:
        self.close()

    def _note(self, number: int) -> None:
        if number not in self._fresh:
            self._fresh.append(number)
        if self._on_news is not None:
            self._on_news()
