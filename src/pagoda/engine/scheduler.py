"""Which tokens are computed in the next step.

One rule: every request has computed tokens that catch up with its known tokens. Prefill, chunked prefill,
prefix hits and the way back after a preemption are all this rule. Requests that miss one token (decodes) go
first; what is left of the step's budget goes to prompts, shared between users.
"""

from __future__ import annotations

import time
from bisect import insort
from collections import Counter
from dataclasses import dataclass

from pagoda.engine.block_pool import BlockPool, extend_hashes
from pagoda.engine.fairness import share_prefill
from pagoda.engine.pace import PrefillPace
from pagoda.engine.request import Request
from pagoda.engine.waiting import WaitingQueue
from pagoda.execute.base import BLOCK_SIZE

_DECODE_COST = 2  #: service a generated token counts for, against 1 for a prompt token (arXiv:2401.00588)


@dataclass(frozen=True, slots=True)
class SchedulerLimits:
    """Hard limits of a step."""

    max_num_seqs: int
    max_tokens: int  #: tokens of all sequences in a step, at least max_num_seqs
    max_prompt_logits: int  #: rows of logits that prompt log-probabilities may take in a step


@dataclass(slots=True)
class Work:
    """A request's part of a step: its next `num_tokens` known tokens."""

    request: Request
    num_tokens: int


class Scheduler:
    """Owns the requests and their blocks. `schedule` then `advance` make a step; `finish` takes a request
    out.
    """

    def __init__(
        self, pool: BlockPool, limits: SchedulerLimits, pace: PrefillPace, *, enable_prefix_caching: bool
    ) -> None:
        self.pool = pool
        self.limits = limits
        self.pace = pace
        self.enable_prefix_caching = enable_prefix_caching
        self.waiting = WaitingQueue()
        self.running: list[Request] = []  #: in order of rank
        self.num_preemptions = 0
        self.prefix_queries = 0
        self.prefix_hits = 0
        self._service: dict[str, float] = {}  #: what each user with requests was given
        self._requests_of: Counter[str] = Counter()
        #: hashes of prompt blocks that running requests will publish
        self._being_computed: Counter[bytes] = Counter()
        self._free_slots = list(range(limits.max_num_seqs - 1, -1, -1))

    def add(self, request: Request) -> None:
        """Puts a new request in line."""
        if request.user not in self._service:
            # Who comes new starts level with the least served, so that time away is no credit.
            self._service[request.user] = min(self._service.values(), default=0.0)
        self._requests_of[request.user] += 1
        self.waiting.add(request)

    def has_work(self) -> bool:
        return bool(self.running or self.waiting)

    def schedule(self) -> list[Work]:
        """The work of the next step; empty only when there are no requests."""
        preempted = self._grow_decodes()
        if not preempted:
            self._admit()
        decodes = [request for request in self.running if request.num_remaining == 1]
        work = [Work(request, 1) for request in decodes]
        behind = [request for request in self.running if request.num_remaining > 1]
        if behind:
            budget = min(self.pace.budget(len(decodes)), self.limits.max_tokens - len(decodes))
            prompt_logits = self.limits.max_prompt_logits
            for request, count in share_prefill(behind, budget, self._service):
                if request.wants_prompt_logprobs:
                    count = min(count, prompt_logits)
                    prompt_logits -= count
                if count:
                    work.append(Work(request, count))
        return work

    def advance(self, work: Work) -> None:
        """Notes that a part of a step was computed; its full blocks become shareable."""
        request = work.request
        request.num_computed += work.num_tokens
        cost = work.num_tokens if request.num_computed <= request.num_prompt else _DECODE_COST
        self._service[request.user] += cost
        if self.enable_prefix_caching and request.num_computed // BLOCK_SIZE > request.num_published:
            self._publish(request)

    def finish(self, request: Request) -> None:
        """Takes a request out, wherever it is, and frees its blocks."""
        request.finished = True
        if request.slot >= 0:
            self.running.remove(request)
            self._release(request)
        else:
            self.waiting.remove(request)
        self._requests_of[request.user] -= 1
        if not self._requests_of[request.user]:
            del self._requests_of[request.user], self._service[request.user]

    @property
    def num_used_blocks(self) -> int:
        return self.pool.num_blocks - self.pool.num_free

    def _grow_decodes(self) -> bool:
        """Gives every decoding request room for its next token; says whether some had to make way."""
        preempted = False
        index = 0
        while index < len(self.running):
            request = self.running[index]
            index += 1
            if request.num_computed < len(request.block_ids) * BLOCK_SIZE:
                continue
            while self.pool.num_free == 0 and self.running[-1] is not request:
                self._preempt(self.running[-1])
                preempted = True
            if self.pool.num_free == 0:
                self._preempt(request)
                return True
            request.block_ids += self.pool.allocate(1)
        return preempted

    def _preempt(self, request: Request) -> None:
        """Sends the last in rank back in line; its full blocks stay in the prefix cache while they are not
        needed.
        """
        self.num_preemptions += 1
        self.running.remove(request)
        self._release(request)
        if request.wants_prompt_logprobs:
            request.prompt_logprobs = [None]
        self.waiting.add(request)

    def _admit(self) -> None:
        """Starts waiting requests while there is room: fair between users, in order of rank for each."""
        while self._free_slots and self.waiting:
            running = Counter(request.user for request in self.running)
            burden = {user: (running[user], service) for user, service in self._service.items()}
            request = self.waiting.pick(burden, self._awaits_shared_prefix)
            if request is None or not self._start(request):
                return

    def _awaits_shared_prefix(self, request: Request) -> bool:
        """Whether the next block that this request needs is being computed by another one right now."""
        if not self._being_computed or not self.enable_prefix_caching or request.wants_prompt_logprobs:
            return False
        usable = self._shareable_hashes(request)
        found = len(self.pool.match(usable))
        return found < len(usable) and usable[found] in self._being_computed

    def _start(self, request: Request) -> bool:
        """Reserves blocks for all known tokens of a waiting request; False when they are not free."""
        cached: list[int] = []
        if self.enable_prefix_caching and not request.wants_prompt_logprobs:
            cached = self.pool.match(self._shareable_hashes(request))
        needed = -(-request.num_known // BLOCK_SIZE) - len(cached)
        # A block for each running request, so that a start is not undone by the others' next tokens.
        spare = len(self.running)
        if needed + spare > self.pool.num_free - self.pool.num_unreferenced(cached):
            return False
        self.waiting.remove(request)
        self.pool.share(cached)
        request.block_ids = cached + self.pool.allocate(needed)
        request.num_computed = request.num_cached = len(cached) * BLOCK_SIZE
        request.num_published = len(cached)
        request.slot = self._free_slots.pop()
        request.scheduled_time = request.scheduled_time or time.monotonic()
        self.prefix_queries += request.num_known
        self.prefix_hits += request.num_computed
        if self.enable_prefix_caching:
            self._being_computed.update(request.block_hashes[request.num_published :])
        insort(self.running, request, key=_rank)
        return True

    def _shareable_hashes(self, request: Request) -> list[bytes]:
        """Hashes of its full blocks, without the last token: that one is computed again for its logits."""
        extend_hashes(request.block_hashes, request.root_hash, request.token_ids, request.num_known)
        return request.block_hashes[: (request.num_known - 1) // BLOCK_SIZE]

    def _publish(self, request: Request) -> None:
        announced = len(request.block_hashes)
        extend_hashes(request.block_hashes, request.root_hash, request.token_ids, request.num_computed)
        for index in range(request.num_published, request.num_computed // BLOCK_SIZE):
            value = request.block_hashes[index]
            self.pool.publish(request.block_ids[index], value)
            if index < announced:
                self._withdraw(value)
        request.num_published = request.num_computed // BLOCK_SIZE

    def _withdraw(self, value: bytes) -> None:
        self._being_computed[value] -= 1
        if self._being_computed[value] <= 0:
            del self._being_computed[value]

    def _release(self, request: Request) -> None:
        if self.enable_prefix_caching:
            for value in request.block_hashes[request.num_published :]:
                self._withdraw(value)
        self.pool.release(request.block_ids)
        request.block_ids = []
        request.num_published = request.num_tabled = 0
        self._free_slots.append(request.slot)
        request.slot = -1


def _rank(request: Request) -> tuple[int, int]:
    return request.rank
