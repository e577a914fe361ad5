"""What scripts ask of a model that makes vectors and what they get: names and fields of vLLM's objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from pagoda.engine.messages import PoolingTask

Output = TypeVar("Output")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolingParams:
    """How vectors are made.

    dimensions: keep so many first values, scaled to length 1 again. normalize: scale to length 1; None means
    as the model says. use_activation: for a classifier, probabilities (True) or raw outputs. task: "embed",
    "token_embed" (vectors of all tokens), "classify" or "score"; None means what the model does.
    truncate_prompt_tokens: cut longer texts to so many tokens, -1 to what the model takes.
    """

    dimensions: int | None = None
    normalize: bool | None = None
    use_activation: bool | None = None
    task: str | None = None
    truncate_prompt_tokens: int | None = None

    @property
    def command(self) -> PoolingTask:
        """What the engine is asked."""
        return PoolingTask(every_token=self.task == "token_embed", normalize=self.normalize)


@dataclass(slots=True)
class PoolingOutput:
    """What the model computed: (size,), or (tokens, size) for vectors of all tokens."""

    data: npt.NDArray[np.float32]


@dataclass(slots=True)
class EmbeddingOutput:
    """A vector of a text."""

    embedding: list[float]

    @property
    def hidden_size(self) -> int:
        return len(self.embedding)


@dataclass(slots=True)
class ClassificationOutput:
    """A probability for each label, in the order of the model's labels."""

    probs: list[float]

    @property
    def num_classes(self) -> int:
        return len(self.probs)


@dataclass(slots=True)
class ScoringOutput:
    """How well two texts go together."""

    score: float


@dataclass(slots=True)
class PoolingRequestOutput(Generic[Output]):
    """A prompt with what was made of it."""

    request_id: str
    outputs: Output
    prompt_token_ids: list[int]
    finished: bool = True
    num_cached_tokens: int = 0


@dataclass(slots=True)
class EmbeddingRequestOutput(PoolingRequestOutput[EmbeddingOutput]):
    """A prompt with its embedding."""


@dataclass(slots=True)
class ClassificationRequestOutput(PoolingRequestOutput[ClassificationOutput]):
    """A prompt with the probabilities of its labels."""


@dataclass(slots=True)
class ScoringRequestOutput(PoolingRequestOutput[ScoringOutput]):
    """Two texts with their score; the tokens are those of both."""
