"""Runs the prompts of one HTTP request, together and as one stream of outputs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from pagoda.api.protocol.common import GenerationRequest
from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.beam_generation import BeamGeneration
from pagoda.engine.beam_search import BeamSearchParams, beam_search_params
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
    """Validates every prompt now (PromptError, ParameterError), runs them when the outputs are started or
    read. A beam search gives its answers at the end, streamed or not.
    """
    priority, salt, user = request.priority or 0, request.cache_salt or "", request.user or ""
    if request.use_beam_search:
        return Outputs(
            [
                BeamGeneration(
                    llm,
                    prompt,
                    _search(llm, prompt, params, request),
                    f"{request_id}-{number}",
                    sampling=params,
                    logprobs=params.wants_logprobs,
                    priority=priority,
                    cache_salt=salt,
                    user=user,
                )
                for number, prompt in enumerate(prompts)
            ]
        )
    return Outputs(
        [
            llm.begin(
                prompt,
                params,
                f"{request_id}-{number}",
                stream=stream,
                priority=priority,
                cache_salt=salt,
                user=user,
                reasoning=reasoning,
            )
            for number, prompt in enumerate(prompts)
        ]
    )


def _search(
    llm: AsyncLLM, prompt: Sequence[int], params: SamplingParams, request: GenerationRequest
) -> BeamSearchParams:
    rest = max(1, llm.info.max_model_len - len(prompt))
    filled = params if params.max_tokens is not None else msgspec.structs.replace(params, max_tokens=rest)
    return beam_search_params(filled, request.length_penalty)


class Asked(Protocol):
    """A prompt on its way: a `Generation`, or what is made of several."""

    def start(self, on_news: Callable[[], None]) -> None: ...

    @property
    def finished(self) -> bool: ...

    def take(self) -> RequestOutput: ...

    def close(self) -> None: ...


class Outputs:
    """(number of the prompt, output) of every prompt of a request, as they come.

    Either read by `async for`, or by `start` and `take`. Closing frees all prompts in the engine at once.
    """

    def __init__(self, generations: Sequence[Asked]) -> None:
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
        if len(fresh) == 1:
            return [(fresh[0], self._generations[fresh[0]].take())]
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
