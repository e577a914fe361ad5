"""A request inside the engine: its known tokens, how many of them are computed, and the blocks that hold
them.
"""

from __future__ import annotations

from pagoda.engine.bad_words import BadWords
from pagoda.engine.block_pool import root_hash
from pagoda.engine.guide import make_guide
from pagoda.engine.messages import AddRequest, TokenLogprobs
from pagoda.engine.repetition import ends_in_repetition
from pagoda.engine.sampler import SamplingRow

_SEED_MASK = (1 << 64) - 1


class Request:
    """One sequence. Known tokens are the prompt and what was generated; computed ones are in the cache.

    `order` is the place of its arrival; a smaller (priority, order) is served first and preempted last.
    """

    __slots__ = (
        "banned_until_min",
        "block_hashes",
        "block_ids",
        "cached_reported",
        "command",
        "end_ids",
        "eos_ids",
        "finished",
        "guide",
        "id",
        "max_output",
        "num_cached",
        "num_computed",
        "num_prompt",
        "num_published",
        "num_tabled",
        "order",
        "output_token_ids",
        "params",
        "priority",
        "prompt_logprobs",
        "repetition",
        "root_hash",
        "row",
        "scheduled_time",
        "slot",
        "stop_ids",
        "token_ids",
        "user",
    )

    def __init__(self, command: AddRequest, order: int, max_model_len: int) -> None:
        params = command.params
        self.command = command
        self.id = command.request_id
        self.params = params
        self.priority = command.priority
        self.user = command.user
        self.order = order
        self.num_prompt = len(command.prompt_token_ids)
        self.token_ids: list[int] = [*command.prompt_token_ids, *command.generated]
        self.output_token_ids: list[int] = list(command.generated)
        rest = max_model_len - self.num_prompt
        self.max_output = rest if params.max_tokens is None else min(params.max_tokens, rest)
        self.stop_ids = frozenset(params.stop_token_ids)
        self.end_ids = frozenset() if params.ignore_eos else frozenset(command.eos_token_ids)
        self.eos_ids = command.eos_token_ids
        self.banned_until_min = tuple(sorted(self.stop_ids | self.end_ids))
        self.guide = make_guide(command)
        self.repetition = params.repetition_detection
        self.num_computed = 0
        self.num_cached = 0
        self.cached_reported = bool(command.generated)
        self.block_ids: list[int] = []
        self.block_hashes: list[bytes] = []
        self.num_published = 0  # blocks whose content others can find
        self.num_tabled = 0  # blocks written to the batch builder's table
        self.root_hash = root_hash(command.cache_salt)
        self.slot = -1
        self.scheduled_time = 0.0  # when it first left the line, monotonic seconds
        self.finished = False
        self.row = SamplingRow(
            params=params,
            prompt_token_ids=command.prompt_token_ids,
            output_token_ids=self.output_token_ids,
            seed=(params.seed or 0) & _SEED_MASK,
            banned=self._banned(),
            bad_words=BadWords(command.bad_words_token_ids) if command.bad_words_token_ids else None,
        )
        # What was sent before a crash included the prompt's log-probabilities; they are not computed again.
        self.prompt_logprobs: list[TokenLogprobs | None] | None = None
        if params.prompt_logprobs is not None and not command.generated:
            self.prompt_logprobs = [None]

    @property
    def num_known(self) -> int:
        return len(self.token_ids)

    @property
    def num_remaining(self) -> int:
        """Known tokens that are not computed yet; at least 1 while the request runs."""
        return len(self.token_ids) - self.num_computed

    @property
    def rank(self) -> tuple[int, int]:
        """Its place in line: smaller goes first."""
        return (self.priority, self.order)

    @property
    def wants_prompt_logprobs(self) -> bool:
        """Whether log-probabilities of prompt tokens are still to be computed."""
        return self.prompt_logprobs is not None and len(self.prompt_logprobs) < self.num_prompt

    def append(self, token_id: int) -> tuple[str | None, int | str | None]:
        """Adds a generated token; returns (finish_reason, stop_reason), (None, None) while it goes on.
        Raises GrammarError, and adds nothing, for a token that its grammar does not admit.
        """
        ends, stops = token_id in self.end_ids, token_id in self.stop_ids
        guide = self.guide
        if guide is not None and not (ends or stops):
            guide.accept(token_id)
        self.token_ids.append(token_id)
        self.output_token_ids.append(token_id)
        count = len(self.output_token_ids)
        # Neither of these can be drawn before min_tokens: they are banned until then.
        if ends:
            return "stop", None
        if stops:
            return "stop", token_id
        if guide is not None and guide.complete:
            return "stop", None
        if count >= self.max_output:
            return "length", None
        if self.repetition is not None and ends_in_repetition(self.output_token_ids, self.repetition):
            return "repetition", "repetition_detected"
        if self.row.banned or guide is not None:
            self.row.banned = self._banned()
        return None, None

    def _banned(self) -> tuple[int, ...]:
        """What must not come next: every end before min_tokens, and the model's own where a grammar is still
        to come, or is to be written to its end.
        """
        banned = self.banned_until_min if len(self.output_token_ids) < self.params.min_tokens else ()
        guide = self.guide
        if guide is not None and guide.has_grammar and (self.params.ignore_eos or guide.grammar_waits):
            banned += self.eos_ids
        return banned
