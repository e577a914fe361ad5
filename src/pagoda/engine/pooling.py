"""The step loop of engines that make vectors: prompts in, embeddings or scores out, with the methods of
`EngineCore`.

A prompt's length is known when it comes, so its blocks of the cache are taken at once and nothing is ever
preempted; the prompts of different requests take turns. Programs that are not causal get their sequences
whole, others in pieces as a step has room. Sums over tokens are taken in one order, whatever the pieces: a
text gives the same bits alone and in a crowd.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pagoda.engine.config import EngineConfig, EngineInfo, EngineStats, PoolingInfo
from pagoda.engine.loading import LoadedModel, load_model
from pagoda.engine.messages import AddRequest, PoolingTask, StepOutput, TokenDelta
from pagoda.engine.turns import Turns
from pagoda.engine.vectors import normalized
from pagoda.execute.base import BLOCK_SIZE, StepBatch

Array = npt.NDArray[np.float32]


@dataclass(slots=True, eq=False)
class _Prompt:
    """A request and how far it is."""

    command: AddRequest
    params: PoolingTask
    token_ids: npt.NDArray[np.int32]
    turn: float = 0.0
    blocks: list[int] = field(default_factory=list)
    computed: int = 0
    scheduled_time: float = 0.0
    total: Array | None = None  #: sum of the hidden states so far (mean)
    states: list[Array] = field(default_factory=list)  #: hidden states so far (every_token)

    @property
    def id(self) -> str:
        return self.command.request_id

    @property
    def group(self) -> str:
        return self.command.user or self.params.group


@dataclass(frozen=True, slots=True)
class _Part:
    """Tokens of a prompt that a step computes, and which of their rows are wanted."""

    prompt: _Prompt
    tokens: int
    rows: range


class PoolingCore:
    """Makes vectors of prompts, one step at a time. A request that fails ends with finish_reason "error".

    config: what to load. model: an executor that is ready already, instead of loading one. Raises
    ConfigurationError or CheckpointError when the model cannot be served.
    """

    def __init__(
        self,
        config: EngineConfig,
        progress: Callable[[int, int], None] | None = None,
        *,
        model: LoadedModel | None = None,
    ) -> None:
        model = model or load_model(config, progress)
        if model.info.pooling is None:
            raise ValueError("the model was loaded for generating text")
        self.info: EngineInfo = model.info
        self._pooling: PoolingInfo = model.info.pooling
        self._whole = model.whole_sequences
        self._executor = model.executor
        self._free_blocks = list(range(self.info.num_blocks))[::-1]
        self._waiting: list[tuple[int, float, int, _Prompt]] = []  # a heap by (priority, turn, arrival)
        self._turns = Turns()
        self._running: list[_Prompt] = []
        self._prompts: dict[str, _Prompt] = {}
        self._arrivals = 0
        self._steps = 0
        self._prompt_tokens = 0
        self._news: list[TokenDelta] = []  # to be told with the next step

    def add_request(self, command: AddRequest) -> None:
        """Puts a prompt in line. One that can never run is answered with an error in the next step."""
        problem = self._problem(command)
        if problem is not None:
            self._news.append(TokenDelta(command.request_id, [], "error", error=problem))
            return
        tokens = np.asarray(command.prompt_token_ids, np.int32)
        prompt = _Prompt(command, command.pooling or PoolingTask(), tokens)
        self._prompts[prompt.id] = prompt
        prompt.turn = self._turns.take(prompt.group, len(tokens))
        heapq.heappush(self._waiting, (command.priority, prompt.turn, self._arrivals, prompt))
        self._arrivals += 1

    def abort(self, request_id: str) -> None:
        """Frees a request at once and confirms it in the next step; ids that are not known are ignored."""
        prompt = self._prompts.get(request_id)
        if prompt is not None:
            if prompt not in self._running:
                self._turns.leave(prompt.group)
            self._finish(prompt)
            self._news.append(TokenDelta(request_id, [], "abort"))

    def reset_prefix_cache(self) -> None:
        """Does nothing: no prompt's cache is kept for another."""

    def has_work(self) -> bool:
        """Whether `step` has anything to do or to tell."""
        return bool(self._news or self._running or self._waiting)

    def step(self) -> StepOutput:
        """Computes one step and tells its news."""
        deltas, self._news = self._news, []
        parts = self._schedule()
        if parts:
            self._run(parts, deltas)
            self._steps += 1
        return StepOutput(deltas, self.stats())

    def stats(self) -> EngineStats:
        used = self.info.num_blocks - len(self._free_blocks)
        return EngineStats(
            num_requests_running=len(self._running),
            num_requests_waiting=len(self._prompts) - len(self._running),
            kv_cache_usage=used / self.info.num_blocks,
            prompt_tokens=self._prompt_tokens,
            steps=self._steps,
        )

    def _problem(self, command: AddRequest) -> str | None:
        """Why a request can never run; clients check all of this before, in words of their own."""
        count = len(command.prompt_token_ids)
        if command.pooling is None:
            return "this model makes vectors and generates no text"
        if command.request_id in self._prompts:
            return f"request id {command.request_id!r} is in use"
        if not count:
            return "the prompt is empty"
        if count > self.info.max_model_len:
            return f"{count} tokens are more than the context of {self.info.max_model_len}"
        if not all(0 <= token < self.info.vocab_size for token in command.prompt_token_ids):
            return f"a token id is outside the vocabulary of {self.info.vocab_size}"
        return None

    def _schedule(self) -> list[_Part]:
        """Prompts that have begun go on first, then others follow while there is room."""
        parts: list[_Part] = []
        room = self.info.max_num_batched_tokens
        for prompt in self._running:
            room -= self._take(prompt, room, parts)
        now = time.monotonic()
        while self._waiting and room > 0 and len(self._running) < self.info.max_num_seqs:
            prompt = self._waiting[0][-1]
            if prompt.id not in self._prompts or self._prompts[prompt.id] is not prompt:  # aborted
                heapq.heappop(self._waiting)
                continue
            length = len(prompt.token_ids)
            wanted = -(-length // BLOCK_SIZE)
            if wanted > len(self._free_blocks) or (self._whole and length > room):
                break
            heapq.heappop(self._waiting)
            self._turns.serve(prompt.group, prompt.turn, length)
            prompt.blocks = [self._free_blocks.pop() for _ in range(wanted)]
            prompt.scheduled_time = now
            self._running.append(prompt)
            room -= self._take(prompt, room, parts)
        return parts

    def _take(self, prompt: _Prompt, room: int, parts: list[_Part]) -> int:
        """Plans the next tokens of a prompt; returns how many."""
        rest = len(prompt.token_ids) - prompt.computed
        count = min(rest, room)
        if not count:
            return 0
        if prompt.params.every_token or self._pooling.method == "mean":
            rows = range(count)
        elif self._pooling.method == "cls":
            rows = range(1 if prompt.computed == 0 else 0)
        else:
            rows = range(count - 1, count) if count == rest else range(0)
        parts.append(_Part(prompt, count, rows))
        return count

    def _run(self, parts: list[_Part], deltas: list[TokenDelta]) -> None:
        """One step of the executor for all parts; when it fails, each part alone, to find the one that
        fails.
        """
        try:
            result = self._executor.step(_batch(parts))
        except Exception as error:
            if len(parts) > 1:
                for part in parts:
                    self._run([part], deltas)
                return
            prompt = parts[0].prompt
            reason = " ".join(str(error).split()) or type(error).__name__
            deltas.append(TokenDelta(prompt.id, [], "error", error=reason))
            self._finish(prompt)
            return
        start = 0
        for part in parts:
            end = start + len(part.rows)
            self._collect(part, result[start:end])
            start = end
            prompt = part.prompt
            prompt.computed += part.tokens
            if prompt.computed == len(prompt.token_ids):
                deltas.append(self._answer(prompt))
                self._prompt_tokens += prompt.computed
                self._finish(prompt)

    def _collect(self, part: _Part, rows: Array) -> None:
        prompt = part.prompt
        if prompt.params.every_token:
            prompt.states.append(rows.copy())
        elif self._pooling.method == "mean":
            # The sum so far goes before the rows, so that one row is added after the other as in one piece.
            known = rows if prompt.total is None else np.concatenate([prompt.total[None], rows])
            prompt.total = np.add.reduce(known, axis=0)
        elif len(rows):
            prompt.total = rows[0].copy()

    def _answer(self, prompt: _Prompt) -> TokenDelta:
        if prompt.params.every_token:
            vectors = np.concatenate(prompt.states)
        else:
            total = prompt.total if prompt.total is not None else np.empty(0, np.float32)
            if self._pooling.method == "mean":
                total = total / np.float32(len(prompt.token_ids))
            vectors = total[None]
        wanted = prompt.params.normalize
        if self._pooling.normalize if wanted is None else wanted:
            vectors = np.stack([normalized(vector) for vector in vectors])
        return TokenDelta(
            prompt.id,
            [],
            "stop",
            num_cached_tokens=0,
            scheduled_time=prompt.scheduled_time,
            pooled=vectors.astype(np.float32, copy=False).tobytes(),
        )

    def _finish(self, prompt: _Prompt) -> None:
        del self._prompts[prompt.id]
        if prompt in self._running:
            self._running.remove(prompt)
        self._free_blocks += prompt.blocks[::-1]
        prompt.blocks = []


def _batch(parts: list[_Part]) -> StepBatch:
    lengths = [part.tokens for part in parts]
    ends = [part.prompt.computed + part.tokens for part in parts]
    tables = np.full((len(parts), max(len(part.prompt.blocks) for part in parts)), -1, np.int32)
    rows: list[int] = []
    first = 0
    for number, part in enumerate(parts):
        tables[number, : len(part.prompt.blocks)] = part.prompt.blocks
        rows += range(first + part.rows.start, first + part.rows.stop)
        first += part.tokens
    spans = [(part, part.prompt.computed, part.prompt.computed + part.tokens) for part in parts]
    segments = None
    if any(part.prompt.params.segments_from is not None for part in parts):
        segments = np.concatenate([_segments(part.prompt)[begin:end] for part, begin, end in spans])
    return StepBatch(
        token_ids=np.concatenate([part.prompt.token_ids[begin:end] for part, begin, end in spans]),
        query_lens=np.array(lengths, np.int32),
        context_lens=np.array(ends, np.int32),
        block_tables=tables,
        logits_rows=np.array(rows, np.int32),
        segments=segments,
    )


def _segments(prompt: _Prompt) -> npt.NDArray[np.int32]:
    segments = np.zeros(len(prompt.token_ids), np.int32)
    if prompt.params.segments_from is not None:
        segments[prompt.params.segments_from :] = 1
    return segments
