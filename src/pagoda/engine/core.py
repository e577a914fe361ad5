"""The engine's step loop: requests in, tokens out. It knows token ids alone and nothing of processes or
text.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pagoda.engine.batch import BatchBuilder, BuiltBatch
from pagoda.engine.block_pool import BlockPool
from pagoda.engine.config import EngineConfig, EngineInfo, EngineStats
from pagoda.engine.grammar_compiler import GrammarCompiler
from pagoda.engine.guide import make_guide
from pagoda.engine.loading import LoadedModel, load_model
from pagoda.engine.messages import AddRequest, StepOutput, TokenDelta
from pagoda.engine.pace import PrefillPace
from pagoda.engine.request import Request
from pagoda.engine.sampler import Sampled, Sampler, TokenMasks
from pagoda.engine.scheduler import Scheduler, SchedulerLimits, Work
from pagoda.engine.structured_outputs import GrammarError
from pagoda.engine.vocabulary import Vocabulary, load_vocabulary

_PROMPT_LOGITS_BYTES = 32 << 20  #: memory for the logits of prompt tokens in a step
_GRAMMAR_WAIT = 0.01  #: seconds that a step with nothing else to do waits for a grammar


class EngineCore:
    """Runs requests to their end, one step at a time. A request that fails ends with finish_reason "error".

    config: what to load. model: an executor that is ready already, instead of loading one. vocabulary: reads
    what grammars need, instead of the model's files.
    Raises ConfigurationError or CheckpointError when the model cannot be served.
    """

    def __init__(
        self,
        config: EngineConfig,
        progress: Callable[[int, int], None] | None = None,
        *,
        model: LoadedModel | None = None,
        vocabulary: Callable[[], Vocabulary] | None = None,
    ) -> None:
        model = model or load_model(config, progress)
        self.info: EngineInfo = model.info
        self._executor = model.executor
        self._sampler = Sampler(self.info.vocab_size)
        self._batches = BatchBuilder(self.info.max_num_seqs, self.info.max_model_len)
        self._pace = PrefillPace(model.prefill_guess)
        limits = SchedulerLimits(
            max_num_seqs=self.info.max_num_seqs,
            max_tokens=self.info.max_num_batched_tokens,
            max_prompt_logits=max(1, _PROMPT_LOGITS_BYTES // (4 * self.info.vocab_size)),
        )
        self._scheduler = Scheduler(
            BlockPool(self.info.num_blocks),
            limits,
            self._pace,
            enable_prefix_caching=config.enable_prefix_caching,
        )
        files = Path(config.tokenizer or config.model_path)
        self._grammars = GrammarCompiler(
            vocabulary or partial(load_vocabulary, files, self.info.vocab_size),
            self.info.vocab_size,
            num_threads=self.info.num_threads,
        )
        self._compiling: dict[str, tuple[Request, Future[Any]]] = {}  # requests that wait for their grammar
        self._num_guides = 0  # requests that have a guide
        self._requests: dict[str, Request] = {}
        self._arrivals = 0
        self._steps = 0
        self._prompt_tokens = 0
        self._generation_tokens = 0
        self._news: list[TokenDelta] = []  # to be told with the next step

    def add_request(self, command: AddRequest) -> None:
        """Puts a request in line. One that can never run is answered with an error in the next step."""
        problem = self._problem(command)
        if problem is not None:
            self._news.append(TokenDelta(command.request_id, [], "error", error=problem))
            return
        request = Request(command, self._arrivals, self.info.max_model_len)
        self._arrivals += 1
        self._requests[request.id] = request
        self._num_guides += request.guide is not None
        constraint = command.params.structured_outputs
        if constraint is None:
            self._scheduler.add(request)
        else:
            compiling = self._grammars.compile(constraint, command.eos_token_ids)
            self._compiling[request.id] = (request, compiling)

    def abort(self, request_id: str) -> None:
        """Frees a request at once and confirms it in the next step; ids that are not known are ignored."""
        request = self._requests.get(request_id)
        if request is not None:
            self._forget(request)
            self._news.append(TokenDelta(request_id, [], "abort"))

    def reset_prefix_cache(self) -> None:
        """Forgets every cached block that no running request holds."""
        self._scheduler.pool.reset_cache()

    def has_work(self) -> bool:
        """Whether `step` has anything to do or to tell."""
        return bool(self._news or self._compiling) or self._scheduler.has_work()

    def step(self) -> StepOutput:
        """Computes one step and tells its news."""
        deltas, self._news = self._news, []
        if self._compiling:
            self._take_compiled(deltas)
        work = self._scheduler.schedule()
        if work:
            started = time.perf_counter()
            self._run(work, deltas)
            prefill = sum(item.num_tokens for item in work if item.num_tokens > 1)
            decodes = sum(1 for item in work if item.num_tokens == 1)
            self._pace.observe(decodes, prefill, time.perf_counter() - started)
            self._steps += 1
        return StepOutput(deltas, self.stats())

    def stats(self) -> EngineStats:
        scheduler = self._scheduler
        return EngineStats(
            num_requests_running=len(scheduler.running),
            num_requests_waiting=len(scheduler.waiting) + len(self._compiling),
            num_requests_deferred=len(self._compiling),
            kv_cache_usage=scheduler.num_used_blocks / scheduler.pool.num_blocks,
            prompt_tokens=self._prompt_tokens,
            generation_tokens=self._generation_tokens,
            prefix_cache_queries=scheduler.prefix_queries,
            prefix_cache_hits=scheduler.prefix_hits,
            num_preemptions=scheduler.num_preemptions,
            steps=self._steps,
        )

    def _problem(self, command: AddRequest) -> str | None:
        """Why a request can never run; clients check all of this before, in words of their own."""
        known = len(command.prompt_token_ids) + len(command.generated)
        if command.request_id in self._requests:
            return f"request id {command.request_id!r} is in use"
        if not command.prompt_token_ids:
            return "the prompt is empty"
        if len(command.prompt_token_ids) >= self.info.max_model_len or known > self.info.max_model_len:
            return f"{known} tokens leave no room in a context of {self.info.max_model_len}"
        if not all(0 <= token < self.info.vocab_size for token in command.prompt_token_ids):
            return f"a token id is outside the vocabulary of {self.info.vocab_size}"
        return None

    def _take_compiled(self, deltas: list[TokenDelta]) -> None:
        """Puts requests in line whose grammar is compiled; waits a moment where nothing else is to do."""
        if not deltas and not self._scheduler.has_work():
            self._grammars.wait([future for _, future in self._compiling.values()], _GRAMMAR_WAIT)
        ready = [(request, future) for request, future in self._compiling.values() if future.done()]
        for request, future in ready:
            compiled = future.result()
            if isinstance(compiled, Exception):
                self._fail(request, compiled, deltas)
                continue
            try:
                if request.guide is not None:
                    request.guide.begin(compiled.deep_copy(), request.output_token_ids)
            except GrammarError as error:
                self._fail(request, error, deltas)
                continue
            del self._compiling[request.id]
            self._scheduler.add(request)

    def _run(self, work: list[Work], deltas: list[TokenDelta]) -> None:
        """One step of the executor for all parts; when it fails, each part alone, to find the one that
        fails.
        """
        masks: Future[TokenMasks | None] | None = None
        try:
            built = self._batches.build(work)
            masks = self._start_masks(built)
            logits = self._executor.step(built.batch)
        except Exception as error:
            if masks is not None:
                futures.wait([masks])
            if len(work) == 1:
                self._fail(work[0].request, error, deltas)
                return
            for item in work:
                self._run([item], deltas)
            return
        for request, row, count in built.prompts:
            self._add_prompt_logprobs(request, logits[row : row + count], deltas)
        sampled = self._sample(built, logits, deltas, masks)
        for item in work:
            if item.request.slot >= 0:
                self._scheduler.advance(item)
        for request, token in sampled:
            self._accept(request, token, deltas)

    def _add_prompt_logprobs(
        self, request: Request, logits: npt.NDArray[np.float32], deltas: list[TokenDelta]
    ) -> None:
        done, wanted = request.prompt_logprobs, request.params.prompt_logprobs
        if done is None or wanted is None:
            return
        try:
            for row in logits:
                done.append(self._sampler.logprobs(row, request.token_ids[len(done)], wanted))
        except ValueError as error:
            self._fail(request, error, deltas)

    def _sample(
        self,
        built: BuiltBatch,
        logits: npt.NDArray[np.float32],
        deltas: list[TokenDelta],
        started: Future[TokenMasks | None] | None = None,
    ) -> list[tuple[Request, Sampled]]:
        chosen = [(request, row) for request, row in built.sampled if request.slot >= 0]
        if started is not None and len(chosen) != len(built.sampled):
            futures.wait([started])
            started = None  # its rows are not these
        if not chosen:
            return []
        if len(chosen) != len(logits):
            logits = logits[[row for _, row in chosen]]
        try:
            masks = self._masks([request for request, _ in chosen], deltas, started)
            tokens = self._sampler.sample(logits, [request.row for request, _ in chosen], masks)
        except Exception as error:
            if len(chosen) == 1:
                self._fail(chosen[0][0], error, deltas)
                return []
            found: list[tuple[Request, Sampled]] = []
            for index, (request, _) in enumerate(chosen):
                one = BuiltBatch(built.batch, [(request, 0)], [])
                found += self._sample(one, logits[index : index + 1], deltas)
            return found
        return [(request, token) for (request, _), token in zip(chosen, tokens, strict=True)]

    def _start_masks(self, built: BuiltBatch) -> Future[TokenMasks | None] | None:
        """Has the masks of a step computed while the model runs."""
        if not self._num_guides:
            return None
        rows = enumerate(request.guide for request, _ in built.sampled)
        return self._grammars.start_masks([(row, guide) for row, guide in rows if guide is not None])

    def _masks(
        self, requests: list[Request], deltas: list[TokenDelta], started: Future[TokenMasks | None] | None
    ) -> TokenMasks | None:
        """What may come next for those that have a say in it. Fails those whose grammar cannot go on."""
        if not self._num_guides:
            return None
        guided = [(row, request.guide) for row, request in enumerate(requests) if request.guide is not None]
        masks = self._grammars.masks(guided) if started is None else started.result()
        for row, guide in guided:
            if guide.problem is not None:
                self._renew(requests[row], guide.problem, deltas)
        return masks

    def _renew(self, request: Request, problem: str, deltas: list[TokenDelta]) -> None:
        """Compiles a request's grammar anew when what its copies share is worn out; fails it at the second
        time. Meanwhile it waits, as one that was preempted.
        """
        constraint, guide = request.params.structured_outputs, request.guide
        if constraint is None or guide is None or guide.renewed:
            self._fail(request, GrammarError(problem), deltas)
            return
        self._scheduler.finish(request)
        request.finished = False
        request.guide = make_guide(request.command, renewed=True)
        self._grammars.forget(constraint)
        compiling = self._grammars.compile(constraint, request.command.eos_token_ids)
        self._compiling[request.id] = (request, compiling)

    def _accept(self, request: Request, sampled: Sampled, deltas: list[TokenDelta]) -> None:
        if request.slot < 0:  # it has failed, or waits
            return
        if sampled.error is not None:
            self._fail(request, ValueError(sampled.error), deltas)
            return
        first = not request.output_token_ids
        try:
            finish_reason, stop_reason = request.append(sampled.token_id)
        except GrammarError as error:
            self._renew(request, str(error), deltas)
            return
        self._generation_tokens += 1
        num_cached, scheduled_time = -1, 0.0
        if not request.cached_reported:
            request.cached_reported = True
            num_cached = min(request.num_cached, request.num_prompt)
            scheduled_time = request.scheduled_time
            self._prompt_tokens += request.num_prompt
        deltas.append(
            TokenDelta(
                request.id,
                [sampled.token_id],
                finish_reason,
                stop_reason,
                None if sampled.logprobs is None else [sampled.logprobs],
                num_cached,
                request.prompt_logprobs if first else None,
                scheduled_time=scheduled_time,
                ends_with_text=request.guide is not None and request.guide.complete,
            )
        )
        if finish_reason is not None:
            self._forget(request)

    def _fail(self, request: Request, error: Exception, deltas: list[TokenDelta]) -> None:
        if request.finished:
            return
        reason = " ".join(str(error).split()) or type(error).__name__
        refused = isinstance(error, GrammarError)
        deltas.append(TokenDelta(request.id, [], "error", error=reason, refused=refused))
        self._forget(request)

    def _forget(self, request: Request) -> None:
        """Takes a request out, wherever it is."""
        del self._requests[request.id]
        self._num_guides -= request.guide is not None
        if self._compiling.pop(request.id, None) is None:
            self._scheduler.finish(request)
        request.finished = True
