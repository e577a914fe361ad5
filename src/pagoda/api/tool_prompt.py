"""Tools for models whose chat template has no place for them: told in the system message, in the form that
the hermes parser reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

PARSER = "hermes"  #: reads the calls that models told so write

_TOLD = """\
You can call functions. These there are, one JSON object a line:
<tools>
{tools}
</tools>
A call is a JSON object with the function's name and its arguments, between tags:
<tool_call>
{{"name": <name of the function>, "arguments": <object of arguments>}}
</tool_call>"""


def has_place_for_tools(template_source: str) -> bool:
    """Whether a chat template does anything with tools."""
    return "tools" in template_source


def with_tools_told(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Prepared messages in which calls and their results are text, and the tools stand in the system
    message.
    """
    told = _TOLD.format(tools="\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools))
    system, rest = {"role": "system", "content": told}, list(messages)
    if rest and rest[0]["role"] == "system":
        first = rest.pop(0)
        system = {**first, "content": f"{first['content']}\n\n{told}".lstrip()}
    made: list[dict[str, Any]] = [system]
    after_result = False
    for message in rest:
        is_result = message["role"] == "tool"
        if not is_result:
            made.append(_with_calls(message))
        else:
            result = f"<tool_response>\n{message['content']}\n</tool_response>"
            if after_result:  # results of one turn are one message
                made[-1]["content"] += f"\n{result}"
            else:
                made.append({"role": "user", "content": result})
        after_result = is_result
    return made


def _with_calls(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    if not calls:
        return dict(message)
    written = [message["content"]] if message["content"] else []
    for call in calls:
        function = call["function"]
        shown = {"name": function.get("name"), "arguments": function["arguments"]}
        written.append(f"<tool_call>\n{json.dumps(shown, ensure_ascii=False)}\n</tool_call>")
    return {**message, "content": "\n".join(written), "tool_calls": []}
