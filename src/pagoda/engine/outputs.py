"""What a generation gives back: the names and fields of vLLM's result objects."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Logprob:
    """The log-probability (natural) of a token at a position, its rank (1 is the top) and its text."""

    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass(slots=True)
class RequestMetrics:
    """Times in seconds on the machine's monotonic clock."""

    arrival_time: float
    first_scheduled_time: float | None = None  #: when the engine first took it from the line
    first_token_time: float | None = None
    finished_time: float | None = None

    @property
    def last_token_time(self) -> float | None:
        return self.finished_time

    @property
    def time_in_queue(self) -> float | None:
        """Seconds before the engine first took it."""
        if self.first_scheduled_time is None:
            return None
        return self.first_scheduled_time - self.arrival_time


@dataclass(frozen=True, slots=True)
class LoRARequest:
    """An adapter (PEFT) for requests of a script: a name, a number and the folder it lies in."""

    lora_name: str
    lora_int_id: int
    lora_path: str

    @property
    def name(self) -> str:
        return self.lora_name

    @property
    def path(self) -> str:
        return self.lora_path


@dataclass(slots=True)
class CompletionOutput:
    """One answer. In streams of deltas `text`, `token_ids` and `logprobs` hold what is new."""

    index: int
    text: str
    token_ids: list[int]
    cumulative_logprob: float | None = None
    logprobs: list[dict[int, Logprob]] | None = None
    finish_reason: str | None = None  #: "stop", "length" or "abort"
    stop_reason: int | str | None = None  #: the stop string or stop_token_id that ended it
    lora_request: LoRARequest | None = None

    def finished(self) -> bool:
        return self.finish_reason is not None


@dataclass(slots=True)
class RequestOutput:
    """A prompt with its answers so far."""

    request_id: str
    prompt: str | None
    prompt_token_ids: list[int]
    prompt_logprobs: list[dict[int, Logprob] | None] | None
    outputs: list[CompletionOutput]
    finished: bool
    num_cached_tokens: int = 0
    metrics: RequestMetrics | None = None
    lora_request: LoRARequest | None = field(default=None, repr=False)
