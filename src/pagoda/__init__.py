"""Pagoda: a private LLM service in one package - engine, OpenAI-compatible API and browser chat.

`from pagoda import LLM, SamplingParams` is the offline API; the names are imported on first use, so that
commands which need neither start at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pagoda.engine.llm import LLM
    from pagoda.engine.outputs import CompletionOutput, RequestOutput
    from pagoda.engine.params import SamplingParams

__version__ = "0.1.0"
__all__ = ["LLM", "CompletionOutput", "RequestOutput", "SamplingParams", "__version__"]

_HOMES = {
    "LLM": "pagoda.engine.llm",
    "CompletionOutput": "pagoda.engine.outputs",
    "RequestOutput": "pagoda.engine.outputs",
    "SamplingParams": "pagoda.engine.params",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pagoda' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
