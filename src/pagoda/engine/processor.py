"""From an engine's deltas to results: text, stop strings, log-probabilities, and the n answers of a
request.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from pagoda.engine.bad_words import bad_words_token_ids
from pagoda.engine.errors import RequestFailedError
from pagoda.engine.messages import AddRequest, ReasoningTokens, TokenDelta, TokenLogprobs
from pagoda.engine.outputs import CompletionOutput, Logprob, RequestMetrics, RequestOutput
from pagoda.engine.params import SamplingParams
from pagoda.engine.validation import PromptError
from pagoda.text.detokenizer import IncrementalDetokenizer

if TYPE_CHECKING:
    from pagoda.text.tokenizer import Tokenizer

__all__ = ["Answer", "RequestFailedError", "RequestState", "describe_logprobs"]

_SEED_MASK = (1 << 64) - 1


class Answer:
    """One of the n answers of a request, built from its deltas; `take` gives what came since the last
    call.
    """

    def __init__(
        self, index: int, params: SamplingParams, tokenizer: Tokenizer | None, prompt_token_ids: Sequence[int]
    ) -> None:
        self.index = index
        self.finish_reason: str | None = None
        self.stop_reason: int | str | None = None
        self.num_tokens = 0
        self._params = params
        self._tokenizer = tokenizer
        self._detokenizer: IncrementalDetokenizer | None = None
        if tokenizer is not None and params.detokenize:
            self._detokenizer = IncrementalDetokenizer(
                tokenizer,
                prompt_token_ids,
                skip_special_tokens=params.skip_special_tokens,
                stop=params.stop,
                include_stop_str_in_output=params.include_stop_str_in_output,
                min_tokens=params.min_tokens,
            )
        self._text: list[str] = []
        self._token_ids: list[int] = []
        self._logprobs: list[dict[int, Logprob]] | None = [] if params.wants_logprobs else None
        self._cumulative = 0.0

    def push(self, delta: TokenDelta) -> None:
        """Takes news in. A stop string that is complete now ends the answer: `finish_reason` is set, what
        follows lost.
        """
        if self.finish_reason is not None:
            return
        count = len(delta.token_ids)
        if self._detokenizer is not None:
            count = self._detokenize(self._detokenizer, delta)
        self.num_tokens += count
        self._token_ids += delta.token_ids[:count]
        if self._logprobs is not None:
            for found in (delta.logprobs or [])[:count]:
                self._logprobs.append(describe_logprobs(found, self._tokenizer))
                self._cumulative += found.logprob
        if self.finish_reason is None and delta.finish_reason is not None:
            self.finish_reason = delta.finish_reason
            self.stop_reason = delta.stop_reason
            if self._detokenizer is not None:
                self._text.append(self._detokenizer.finish())

    def take(self) -> CompletionOutput:
        """What is new since the last call; everything on the first one."""
        text, token_ids, logprobs = "".join(self._text), self._token_ids, self._logprobs
        self._text, self._token_ids = [], []
        if logprobs is None:  # positions instead of names: this is on the path of every token
            return CompletionOutput(
                self.index, text, token_ids, None, None, self.finish_reason, self.stop_reason
            )
        self._logprobs = []
        return CompletionOutput(
            self.index, text, token_ids, self._cumulative, logprobs, self.finish_reason, self.stop_reason
        )

    def _detokenize(self, detokenizer: IncrementalDetokenizer, delta: TokenDelta) -> int:
        """Adds the new text; returns how many of the tokens belong to the answer."""
        shown = delta.token_ids
        ended = delta.finish_reason == "stop" and not delta.ends_with_text
        if ended and shown and not self._params.include_stop_str_in_output:
            shown = shown[:-1]  # an end or stop token counts, but is no text
        before = detokenizer.num_tokens
        self._text.append(detokenizer.push(shown))
        if detokenizer.stopped is None:
            return len(delta.token_ids)
        self.finish_reason, self.stop_reason = "stop", detokenizer.stopped
        return detokenizer.num_tokens - before


class RequestState:
    """A request with its n answers. `push` takes the engine's news, `take` makes results of them.

    Its parts in the engine have ids of their own: `commands()` lists them, `unfinished()` names those still
    running.
    """

    def __init__(
        self,
        request_id: str,
        prompt: str | None,
        prompt_token_ids: list[int],
        params: SamplingParams,
        tokenizer: Tokenizer | None,
        seed: int,
    ) -> None:
        self.request_id = request_id
        self.prompt = prompt
        self.prompt_token_ids = prompt_token_ids
        self.params = params
        self.metrics = RequestMetrics(arrival_time=time.monotonic())
        self.num_cached_tokens = 0
        self._tokenizer = tokenizer
        self._seed = seed
        self._prompt_logprobs: list[dict[int, Logprob] | None] | None = None
        self._answers = [Answer(index, params, tokenizer, prompt_token_ids) for index in range(params.n)]
        self._news: set[int] = set()
        self._open = set(range(params.n))

    def commands(
        self,
        prefix: str,
        *,
        eos_token_ids: tuple[int, ...] = (),
        priority: int = 0,
        cache_salt: str = "",
        user: str = "",
        reasoning: ReasoningTokens | None = None,
    ) -> list[AddRequest]:
        """What the engine is asked: one sequence for each answer, with the id `prefix` and its number.

        Raises PromptError for bad_words without a tokenizer.
        """
        commands = []
        bad_words: list[list[int]] = []
        if self.params.bad_words:
            if self._tokenizer is None:
                raise PromptError("bad_words", "bad_words needs a tokenizer; use logit_bias without one.")
            bad_words = bad_words_token_ids(self.params.bad_words, self._tokenizer)
        for index in range(self.params.n):
            seed = (self._seed + index) & _SEED_MASK
            # The prompt's log-probabilities are the same for all answers.
            prompt_logprobs = self.params.prompt_logprobs if index == 0 else None
            params = msgspec.structs.replace(
                self.params, n=1, best_of=None, seed=seed, prompt_logprobs=prompt_logprobs, extra_args=None
            )
            commands.append(
                AddRequest(
                    request_id=f"{prefix}{index}",
                    prompt_token_ids=self.prompt_token_ids,
                    params=params,
                    eos_token_ids=eos_token_ids,
                    priority=priority,
                    cache_salt=cache_salt,
                    user=user,
                    arrival_time=self.metrics.arrival_time,
                    reasoning=reasoning,
                    bad_words_token_ids=bad_words,
                )
            )
        return commands

    @property
    def finished(self) -> bool:
        return not self._open

    @property
    def has_news(self) -> bool:
        """Whether something was pushed since the last `take`."""
        return bool(self._news)

    def unfinished(self) -> list[int]:
        """Indices of the answers that go on."""
        return sorted(self._open)

    def push(self, index: int, delta: TokenDelta) -> bool:
        """Takes news of an answer; True when a stop string has ended it here and the engine must be told.

        Raises RequestFailedError for finish_reason "error", PromptError where it is the request's own doing.
        """
        if delta.refused:
            raise PromptError("structured_outputs", delta.error or "the constraint cannot be used")
        if delta.finish_reason == "error":
            raise RequestFailedError(delta.error or "the engine failed this request")
        if self.metrics.first_token_time is None and delta.token_ids:
            self.metrics.first_token_time = time.monotonic()
        if self.metrics.first_scheduled_time is None and delta.scheduled_time:
            self.metrics.first_scheduled_time = delta.scheduled_time
        if index == 0:
            self.num_cached_tokens = max(self.num_cached_tokens, delta.num_cached_tokens)
            if delta.prompt_logprobs is not None:
                self._prompt_logprobs = [
                    None if found is None else describe_logprobs(found, self._tokenizer)
                    for found in delta.prompt_logprobs
                ]
        answer = self._answers[index]
        answer.push(delta)
        self._news.add(index)
        if answer.finish_reason is None:
            return False
        self._open.discard(index)
        if not self._open:
            self.metrics.finished_time = time.monotonic()
        return delta.finish_reason is None

    def take(self, *, everything: bool = False) -> RequestOutput:
        """A result with what is new of the answers that have news; with `everything`, of all answers."""
        if len(self._answers) == 1:
            outputs = [self._answers[0].take()] if everything or self._news else []
        elif everything:
            outputs = [answer.take() for answer in self._answers]
        else:
            outputs = [self._answers[index].take() for index in sorted(self._news)]
        self._news.clear()
        return RequestOutput(
            self.request_id,
            self.prompt,
            self.prompt_token_ids,
            self._prompt_logprobs,
            outputs,
            not self._open,
            self.num_cached_tokens,
            self.metrics,
        )

    @property
    def num_output_tokens(self) -> int:
        """Tokens of all answers so far."""
        return sum(answer.num_tokens for answer in self._answers)


def describe_logprobs(found: TokenLogprobs, tokenizer: Tokenizer | None) -> dict[int, Logprob]:
    """The entry of one position: the token itself first, then the most probable ones in order,
    then those that were asked for by id.
    """

    def text(token_id: int) -> str | None:
        return None if tokenizer is None else tokenizer.token_text(token_id)

    entry = {found.token_id: Logprob(found.logprob, found.rank, text(found.token_id))}
    for rank, (token_id, logprob) in enumerate(zip(found.top_token_ids, found.top_logprobs, strict=True), 1):
        if token_id not in entry:
            entry[token_id] = Logprob(logprob, rank, text(token_id))
    for token_id, logprob, rank in found.others:
        if token_id not in entry:
            entry[token_id] = Logprob(logprob, rank, text(token_id))
    return entry
