"""Parsers of tool calls, by name: from a model's text to content and calls, piece by piece.

A call is announced (id and name) once its arguments begin; from then on it is a call whatever follows, and
its arguments are streamed. Text that turns out before that to be no call is content, as it was written. Where
the text breaks off, arguments break off with it, so that no client takes them for whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pagoda.text.tools.hermes import HermesParser
from pagoda.text.tools.json_text import LlamaJsonParser
from pagoda.text.tools.mistral import MistralParser
from pagoda.text.tools.qwen3_coder import Qwen3CoderParser
from pagoda.text.tools.stream import ToolParser

Tools: TypeAlias = Sequence[Mapping[str, Any]]

#: By the names of vLLM; what shares a format shares a parser.
TOOL_PARSERS: Mapping[str, Callable[[Callable[[], str], Tools], ToolParser]] = {
    "hermes": HermesParser,
    "llama3_json": LlamaJsonParser,
    "llama4_json": LlamaJsonParser,
    "mimo": Qwen3CoderParser,
    "mistral": MistralParser,
    "qwen3_coder": Qwen3CoderParser,
    "qwen3_xml": Qwen3CoderParser,
}

__all__ = ["TOOL_PARSERS", "ToolParser", "Tools"]
