"""The part of `LLM` that makes vectors: embed, encode, classify, score, with vLLM's arguments and results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from pagoda.engine.config import EngineInfo, PoolingInfo
from pagoda.engine.llm_prompts import Prompt, as_prompts
from pagoda.engine.llm_run import Bar, StepEngine, UseTqdm
from pagoda.engine.messages import PoolingTask
from pagoda.engine.pooling_client import pooling_command, pooling_result
from pagoda.engine.pooling_inputs import PoolingInput, PoolingPrompt, Truncation, read_prompts
from pagoda.engine.pooling_outputs import (
    ClassificationOutput,
    ClassificationRequestOutput,
    EmbeddingOutput,
    EmbeddingRequestOutput,
    PoolingOutput,
    PoolingParams,
    PoolingRequestOutput,
    ScoringOutput,
    ScoringRequestOutput,
)
from pagoda.engine.validation import PromptError
from pagoda.engine.vectors import activated, cosine, shortened
from pagoda.text.tokenizer import Tokenizer

Result = TypeVar("Result")
Array = npt.NDArray[np.float32]


class PoolingMethods(ABC):
    """Mixed into `LLM`. Prompts are as for `generate`; all raise ValueError for a model that generates text,
    PromptError for prompts that can never be served, and RequestFailedError when the engine fails.
    """

    _tokenizer: Tokenizer | None
    _ids: Iterator[int]
    _info: EngineInfo

    @abstractmethod
    def _awake(self) -> StepEngine:
        """The engine. Raises RuntimeError while it sleeps."""

    def embed(
        self,
        prompts: Prompt | Sequence[Prompt],
        *,
        use_tqdm: UseTqdm = True,
        pooling_params: PoolingParams | None = None,
        truncate_prompt_tokens: int | None = None,
        tokenization_kwargs: Mapping[str, Any] | None = None,
        lora_request: None = None,
    ) -> list[EmbeddingRequestOutput]:
        """A vector for each prompt."""
        info = self._pooling_info("embed")
        if info.labels:
            raise ValueError("this model gives scores, not embeddings; use classify() or score()")
        params = pooling_params or PoolingParams()
        _check_dimensions(params, info)
        inputs = self._inputs(prompts, params, truncate_prompt_tokens, tokenization_kwargs)
        vectors = self._pool(inputs, PoolingTask(normalize=params.normalize), use_tqdm)
        outputs = [EmbeddingOutput(shortened(vector, params.dimensions).tolist()) for vector in vectors]
        return self._results(EmbeddingRequestOutput, inputs, outputs)

    def encode(
        self,
        prompts: Prompt | Sequence[Prompt],
        pooling_params: PoolingParams | None = None,
        *,
        pooling_task: str | None = None,
        use_tqdm: UseTqdm = True,
        truncate_prompt_tokens: int | None = None,
        tokenization_kwargs: Mapping[str, Any] | None = None,
        lora_request: None = None,
    ) -> list[PoolingRequestOutput[PoolingOutput]]:
        """What the model computes for each prompt, as arrays. pooling_task: "embed", "token_embed" (vectors
        of all tokens), "classify" or "score"; None means what the model does.
        """
        info = self._pooling_info("encode")
        params = pooling_params or PoolingParams()
        task = pooling_task or params.task or ("classify" if info.labels else "embed")
        known = ("classify", "score") if info.labels else ("embed", "token_embed", "encode")
        if task not in known:
            raise ValueError(f"this model does not support the pooling task {task!r}; use {known[0]!r}")
        every_token = task == "token_embed"
        if not every_token:
            _check_dimensions(params, info)
        inputs = self._inputs(prompts, params, truncate_prompt_tokens, tokenization_kwargs)
        vectors = self._pool(inputs, PoolingTask(every_token, params.normalize), use_tqdm)
        if info.labels:
            vectors = [activated(vector, _activation(params, info)) for vector in vectors]
        elif not every_token:
            vectors = [shortened(vector, params.dimensions) for vector in vectors]
        return self._results(PoolingRequestOutput, inputs, [PoolingOutput(vector) for vector in vectors])

    def classify(
        self,
        prompts: Prompt | Sequence[Prompt],
        *,
        use_tqdm: UseTqdm = True,
        pooling_params: PoolingParams | None = None,
        tokenization_kwargs: Mapping[str, Any] | None = None,
        lora_request: None = None,
    ) -> list[ClassificationRequestOutput]:
        """The probabilities of the model's labels for each prompt."""
        info = self._pooling_info("classify")
        if not info.labels:
            raise ValueError("this model has no labels; use embed()")
        params = pooling_params or PoolingParams()
        inputs = self._inputs(prompts, params, None, tokenization_kwargs)
        outputs = self._pool(inputs, PoolingTask(), use_tqdm)
        found = [activated(output, _activation(params, info)).tolist() for output in outputs]
        return self._results(
            ClassificationRequestOutput, inputs, [ClassificationOutput(probs) for probs in found]
        )

    def score(
        self,
        data_1: str | Sequence[str],
        data_2: str | Sequence[str],
        /,
        *,
        use_tqdm: UseTqdm = True,
        pooling_params: PoolingParams | None = None,
        truncate_prompt_tokens: int | None = None,
        lora_request: None = None,
    ) -> list[ScoringRequestOutput]:
        """How well texts go together: one with one, one with several, or as many of each; by a cross-encoder,
        else by the cosine of embeddings.
        """
        info = self._pooling_info("score")
        if len(info.labels) > 1:
            raise ValueError(f"this model has {len(info.labels)} labels; use classify()")
        first = [data_1] if isinstance(data_1, str) else list(data_1)
        second = [data_2] if isinstance(data_2, str) else list(data_2)
        if len(first) == 1:
            first = first * len(second)
        if not first or len(first) != len(second):
            raise ValueError(f"{len(first)} texts cannot be scored against {len(second)}")
        params = pooling_params or PoolingParams()
        pairs = list(zip(first, second, strict=True))
        if info.labels:
            inputs = self._read(pairs, params, truncate_prompt_tokens)
            outputs = self._pool(inputs, PoolingTask(), use_tqdm)
            activation = _activation(params, info)
            scores = [float(activated(output, activation)[0]) for output in outputs]
            return self._results(ScoringRequestOutput, inputs, [ScoringOutput(score) for score in scores])
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        read = dict(zip(texts, self._read(texts, params, truncate_prompt_tokens), strict=True))
        pooled = self._pool(list(read.values()), PoolingTask(), use_tqdm)
        vectors = dict(zip(texts, pooled, strict=True))
        joined = [PoolingInput(read[one].token_ids + read[other].token_ids) for one, other in pairs]
        scores = [cosine(vectors[one], vectors[other]) for one, other in pairs]
        return self._results(ScoringRequestOutput, joined, [ScoringOutput(score) for score in scores])

    def _pooling_info(self, method: str) -> PoolingInfo:
        info = self._info.pooling
        if info is None:
            raise ValueError(
                f"LLM.{method}() needs a model that makes vectors; pass runner='pooling' when making the LLM."
            )
        return info

    def _inputs(
        self,
        prompts: Prompt | Sequence[Prompt],
        params: PoolingParams,
        truncate: int | None,
        tokenization: Mapping[str, Any] | None,
    ) -> list[PoolingInput]:
        options = dict(tokenization or {})
        limit = options.pop("max_length", None) if options.pop("truncation", False) else None
        if options:
            raise ValueError(f"tokenization_kwargs: {next(iter(options))!r} is not supported")
        read = [_prompt(prompt) for prompt in as_prompts(prompts)]
        return self._read(read, params, truncate if limit is None else limit)

    def _read(
        self, prompts: Sequence[PoolingPrompt], params: PoolingParams, truncate: int | None
    ) -> list[PoolingInput]:
        limit = params.truncate_prompt_tokens if truncate is None else truncate
        return read_prompts(self._tokenizer, prompts, self._info, Truncation(limit))

    def _pool(self, inputs: Sequence[PoolingInput], task: PoolingTask, use_tqdm: UseTqdm) -> list[Array]:
        """The vectors of all inputs, in their order."""
        commands = {f"{next(self._ids)}.": prompt for prompt in inputs}
        waiting = {
            request_id: pooling_command(request_id, prompt, task) for request_id, prompt in commands.items()
        }
        found: dict[str, Array] = {}
        engine = self._awake()
        bar = Bar(len(commands), use_tqdm)
        try:
            for command in waiting.values():
                engine.add_request(command)
            while len(found) < len(waiting) and engine.has_work():
                for delta in engine.step().deltas:
                    if delta.request_id in waiting:
                        found[delta.request_id] = pooling_result(delta, waiting[delta.request_id])
                        bar.count(len(waiting[delta.request_id].prompt_token_ids), 0)
        finally:
            # Only after an error or Ctrl-C is anything left.
            for request_id in waiting.keys() - found.keys():
                engine.abort(request_id)
            bar.close()
        return [found[request_id] for request_id in waiting]

    def _results(
        self, kind: Callable[..., Result], inputs: Sequence[PoolingInput], outputs: Sequence[Any]
    ) -> list[Result]:
        return [
            kind(str(next(self._ids)), output, prompt.token_ids)
            for prompt, output in zip(inputs, outputs, strict=True)
        ]


def _prompt(prompt: Prompt) -> PoolingPrompt:
    if isinstance(prompt, Mapping):
        given = prompt.get("prompt_token_ids", prompt.get("prompt"))
        if given is None:
            raise PromptError(
                "prompt", "A prompt needs a text under 'prompt' or token ids under 'prompt_token_ids'."
            )
        return cast(PoolingPrompt, given)
    return prompt if isinstance(prompt, str) else list(prompt)


def _check_dimensions(params: PoolingParams, info: PoolingInfo) -> None:
    if params.dimensions is not None and not 1 <= params.dimensions <= info.size:
        raise ValueError(f"dimensions must be 1 to {info.size}, which is what this model gives")


def _activation(params: PoolingParams, info: PoolingInfo) -> str:
    return "identity" if params.use_activation is False else info.activation
