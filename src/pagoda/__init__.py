"""Pagoda: a private LLM service in one package - engine, OpenAI-compatible API and browser chat.

`from pagoda import LLM, SamplingParams` is the offline API; the names are imported on first use, so that
commands which need neither start at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pagoda.engine.beam_search import BeamSearchOutput, BeamSearchParams, BeamSearchSequence
    from pagoda.engine.llm import LLM
    from pagoda.engine.llm_prompts import TextPrompt, TokensPrompt
    from pagoda.engine.outputs import CompletionOutput, Logprob, LoRARequest, RequestOutput
    from pagoda.engine.params import RequestOutputKind, SamplingParams, StructuredOutputsParams
    from pagoda.engine.pooling_outputs import (
        ClassificationRequestOutput,
        EmbeddingRequestOutput,
        PoolingParams,
        PoolingRequestOutput,
        ScoringRequestOutput,
    )
    from pagoda.engine.structured_outputs import GuidedDecodingParams

__version__ = "0.1.0"
__all__ = [
    "LLM",
    "BeamSearchOutput",
    "BeamSearchParams",
    "BeamSearchSequence",
    "ClassificationRequestOutput",
    "CompletionOutput",
    "EmbeddingRequestOutput",
    "GuidedDecodingParams",
    "LoRARequest",
    "Logprob",
    "PoolingParams",
    "PoolingRequestOutput",
    "RequestOutput",
    "RequestOutputKind",
    "SamplingParams",
    "ScoringRequestOutput",
    "StructuredOutputsParams",
    "TextPrompt",
    "TokensPrompt",
    "__version__",
]

_HOMES = {
    "LLM": "pagoda.engine.llm",
    "BeamSearchOutput": "pagoda.engine.beam_search",
    "BeamSearchParams": "pagoda.engine.beam_search",
    "BeamSearchSequence": "pagoda.engine.beam_search",
    "ClassificationRequestOutput": "pagoda.engine.pooling_outputs",
    "CompletionOutput": "pagoda.engine.outputs",
    "EmbeddingRequestOutput": "pagoda.engine.pooling_outputs",
    "GuidedDecodingParams": "pagoda.engine.structured_outputs",
    "LoRARequest": "pagoda.engine.outputs",
    "Logprob": "pagoda.engine.outputs",
    "PoolingParams": "pagoda.engine.pooling_outputs",
    "PoolingRequestOutput": "pagoda.engine.pooling_outputs",
    "RequestOutput": "pagoda.engine.outputs",
    "RequestOutputKind": "pagoda.engine.params",
    "SamplingParams": "pagoda.engine.params",
    "ScoringRequestOutput": "pagoda.engine.pooling_outputs",
    "StructuredOutputsParams": "pagoda.engine.params",
    "TextPrompt": "pagoda.engine.llm_prompts",
    "TokensPrompt": "pagoda.engine.llm_prompts",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pagoda' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
