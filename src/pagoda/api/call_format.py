"""Tool calls as a format of structural tags, so that a grammar can leave a model the choice of a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pagoda.text.tool_schema import tool_names

_BEFORE = {"type": "regex", "pattern": r"[\n ]{0,2}"}  # what models write after their reasoning


def call_format(parser: str | None, tools: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """One call or more as a parser's models write them; None where their calls cannot be told from an
    answer. Arguments are any JSON object, as they are without a grammar.
    """
    names = sorted(tool_names(tools))
    if parser == "hermes":
        tag = {"begin": "<tool_call>\n", "content": _json_call(names), "end": "\n</tool_call>"}
        tags = [tag]
    elif parser in ("qwen3_coder", "qwen3_xml", "mimo"):
        content, end = {"type": "any_text"}, "</tool_call>"
        tags = [{"begin": f"<tool_call>\n<function={n}>\n", "content": content, "end": end} for n in names]
    else:
        return None
    calls = {"type": "tags_with_separator", "tags": tags, "separator": "\n", "at_least_one": True}
    return {"type": "sequence", "elements": [_BEFORE, calls]}


def _json_call(names: Sequence[str]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": list(names)}, "arguments": {"type": "object"}},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": schema}
