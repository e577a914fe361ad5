"""Counts what a request takes and how long: for `usage`, for the browser app, and for /metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from pagoda.api.hooks import Guest
from pagoda.api.model_metrics import ModelMetrics
from pagoda.engine.outputs import RequestMetrics, RequestOutput
from pagoda.engine.params import SamplingParams


class Account:
    """The bill of one HTTP request, which may hold several prompts with n answers each.

    model: its name, for the record of `guest`, whose request it is.
    """

    def __init__(
        self,
        metrics: ModelMetrics,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        *,
        model: str = "",
        guest: Guest | None = None,
    ) -> None:
        self.model = model
        self._guest = guest
        self.prompt_tokens = sum(len(prompt) for prompt in prompts)
        self.completion_tokens = 0
        self.reasoning_tokens: int | None = None  #: of completion_tokens; None where there is no reasoning
        self._metrics = metrics
        self._between = metrics.inter_token_latency
        self._params = params
        self._prompts = [_PromptAccount(len(prompt), params.n) for prompt in prompts]
        self._closed = False

    def add(self, prompt: int, output: RequestOutput) -> None:
        """Takes in an output of the prompt with this number."""
        account = self._prompts[prompt]
        now = time.monotonic()
        for answer in output.outputs:
            count = len(answer.token_ids)
            if not count:
                continue
            self.completion_tokens += count
            last = account.last_times[answer.index]
            if last is not None:
                self._between.observe(now - last)
            account.last_times[answer.index] = now
            account.tokens[answer.index] += count
        account.cached_tokens = output.num_cached_tokens
        if output.metrics is not None:
            account.times = output.metrics
        if output.finished:
            account.reasons = [answer.finish_reason or "abort" for answer in output.outputs]

    def close(self) -> None:
        """Enters the request into /metrics and the record of whose it is: what is not finished now was given
        up. May be called twice.
        """
        if self._closed:
            return
        self._closed = True
        for account in self._prompts:
            reasons = (
                account.reasons if len(account.reasons) == self._params.n else ["abort"] * self._params.n
            )
            self._metrics.observe_request(
                prompt_tokens=account.prompt_tokens,
                cached_tokens=account.cached_tokens,
                answer_tokens=account.tokens,
                reasons=reasons,
                times=account.times,
                params=self._params,
            )
        if self._guest is not None:
            self._guest.used(self.model, self.usage(), self.response_metrics() or {})

    def usage(self) -> dict[str, Any]:
        """OpenAI's `usage` so far."""
        cached = sum(account.cached_tokens for account in self._prompts)
        usage: dict[str, Any] = {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "completion_tokens": self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        if self.reasoning_tokens is not None:
            usage["completion_tokens_details"] = {"reasoning_tokens": self.reasoning_tokens}
        return usage

    def response_metrics(self) -> dict[str, float | None] | None:
        """How fast the answer came; None where the request holds several prompts."""
        if len(self._prompts) != 1:
            return None
        times = self._prompts[0].times
        first, finished = (times.first_token_time, times.finished_time) if times else (None, None)
        if times is None or first is None:
            return None
        scheduled = times.first_scheduled_time
        generation = finished - first if finished is not None else None
        speed = None
        if generation and self.completion_tokens > self._params.n:
            speed = (self.completion_tokens - self._params.n) / generation
        return {
            "time_to_first_token": first - times.arrival_time,
            "generation_time": generation,
            "queue_time": None if scheduled is None else scheduled - times.arrival_time,
            "tokens_per_second": speed,
        }


class _PromptAccount:
    def __init__(self, prompt_tokens: int, n: int) -> None:
        self.prompt_tokens = prompt_tokens
        self.cached_tokens = 0
        self.tokens = [0] * n
        self.last_times: list[float | None] = [None] * n
        self.reasons: list[str] = []
        self.times: RequestMetrics | None = None
