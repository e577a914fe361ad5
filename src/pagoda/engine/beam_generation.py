"""Beam search as a request of a server: rounds of one token, asked for as the last one's answers come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from pagoda.engine.async_llm import AsyncLLM
from pagoda.engine.beam_search import BeamSearch, BeamSearchParams, beam_ends, completion
from pagoda.engine.errors import EngineDeadError, RequestFailedError
from pagoda.engine.generation import Generation
from pagoda.engine.outputs import Logprob, RequestMetrics, RequestOutput
from pagoda.engine.params import SamplingParams
from pagoda.engine.validation import check_prompt


class BeamGeneration:
    """With the methods of `Generation`; there is news once, at the end. Belongs to one event loop."""

    def __init__(
        self,
        llm: AsyncLLM,
        prompt_token_ids: Sequence[int],
        params: BeamSearchParams,
        request_id: str,
        *,
        sampling: SamplingParams | None = None,
        logprobs: bool = False,
        priority: int = 0,
        cache_salt: str = "",
        user: str = "",
    ) -> None:
        """Validates at once: raises PromptError, or EngineDeadError when the engine has stopped.

        sampling: the request's parameters, for where answers end and for prompt_logprobs. logprobs: give
        those of each answer's tokens.
        """
        info = llm.info
        whole = SamplingParams(temperature=0, max_tokens=params.max_tokens)
        check_prompt(prompt_token_ids, whole, max_model_len=info.max_model_len, vocab_size=info.vocab_size)
        eos_token_ids = (*llm.tokenizer.eos_token_ids, *info.eos_token_ids)
        ends = beam_ends(sampling or SamplingParams(ignore_eos=params.ignore_eos), eos_token_ids)
        self._search = BeamSearch(prompt_token_ids, params, ends, llm.tokenizer)
        self._llm = llm
        self._request_id = request_id
        self._logprobs = logprobs
        self._begin = partial(llm.begin, stream=False, priority=priority, cache_salt=cache_salt, user=user)
        self._metrics = RequestMetrics(arrival_time=time.monotonic())
        self._num_cached_tokens = 0
        self._prompt_logprobs: list[dict[int, Logprob] | None] | None = None
        self._round = self._begin_round(sampling.prompt_logprobs if sampling else None)
        self._found: dict[int, dict[int, Logprob]] = {}
        self._on_news: Callable[[], None] | None = None
        self._error: RequestFailedError | EngineDeadError | None = None

    def start(self, on_news: Callable[[], None]) -> None:
        """Asks the engine. `on_news` is called when `take` has something to give, or to raise. Raises
        EngineDeadError.
        """
        self._on_news = on_news
        self._start_round()

    def listen(self, on_news: Callable[[], None]) -> None:
        """Calls this one from now on."""
        self._on_news = on_news

    @property
    def finished(self) -> bool:
        """Whether the search has ended."""
        return self._search.finished

    def take(self) -> RequestOutput:
        """All answers, the best first. Raises RequestFailedError or EngineDeadError."""
        if self._error is not None:
            raise self._error
        search = self._search
        outputs = [
            completion(search, beam, index, self._llm.tokenizer) for index, beam in enumerate(search.best())
        ]
        if not self._logprobs:
            for output in outputs:
                output.logprobs = output.cumulative_logprob = None
        return RequestOutput(
            request_id=self._request_id,
            prompt=None,
            prompt_token_ids=search.prompt_token_ids,
            prompt_logprobs=self._prompt_logprobs,
            outputs=outputs,
            finished=True,
            num_cached_tokens=self._num_cached_tokens,
            metrics=self._metrics,
        )

    def close(self) -> None:
        """Frees in the engine what goes on. May be called twice, and before `start`."""
        self._on_news = None
        for generation in self._round:
            generation.close()

    def _begin_round(self, prompt_logprobs: int | None = None) -> list[Generation]:
        sampling = msgspec.structs.replace(self._search.sampling, prompt_logprobs=prompt_logprobs)
        return [
            self._begin(prompt, sampling, f"{self._request_id}-{number}")
            for number, prompt in enumerate(self._search.prompts())
        ]

    def _start_round(self) -> None:
        self._found = {}
        for number, generation in enumerate(self._round):
            generation.start(partial(self._note, number))

    def _note(self, number: int) -> None:
        """A beam's next token is known, or cannot be."""
        if self._error is not None or self._on_news is None:
            return
        try:
            self._found[number] = self._logprobs_of(self._round[number].take())
            if len(self._found) < len(self._round):
                return
            self._search.advance([self._found[index] for index in range(len(self._round))])
            if not self._search.finished:
                self._round = self._begin_round()
                self._start_round()
                return
            self._metrics.finished_time = time.monotonic()
        except (RequestFailedError, EngineDeadError) as error:
            self._error = error
            for generation in self._round:
                generation.close()
        self._on_news()

    def _logprobs_of(self, output: RequestOutput) -> dict[int, Logprob]:
        if self._metrics.first_token_time is None and output.metrics is not None:
            self._metrics.first_token_time = output.metrics.first_token_time
            self._metrics.first_scheduled_time = output.metrics.first_scheduled_time
            self._num_cached_tokens = output.num_cached_tokens
            self._prompt_logprobs = output.prompt_logprobs
        logprobs = output.outputs[0].logprobs
        if not logprobs:
            raise RequestFailedError("the engine ended the search")
        return logprobs[0]
