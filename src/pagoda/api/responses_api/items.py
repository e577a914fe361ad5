"""Input items of the Responses API: checked, completed, and turned into chat messages.

Clients differ in what they leave out (ids, statuses, even types) and send kinds of items that only OpenAI's
own tools make. What is missing is filled in, and what a text model cannot read is left out with a line in
the log; only what would change the meaning of a message is refused.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pagoda.api.errors import ApiError, bad_request
from pagoda.api.responses_api.ids import new_id
from pagoda.api.responses_api.sealed import unseal

_log = logging.getLogger(__name__)

Item = dict[str, Any]

_ROLES = ("user", "assistant", "system", "developer")
_TEXT_PARTS = ("input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text")
_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
}
_OMITTED = "[left out here: this model reads text only]"


def input_items(given: str | Sequence[Any], find: Callable[[str], Item]) -> list[Item]:
    """The input as complete items, each with type, id and status. `find` resolves an item_reference and
    raises ApiError. Raises ApiError 400 that names the item.
    """
    if isinstance(given, str):
        return [_message({"role": "user", "content": given}, "input")]
    items = [_item(item, f"input[{number}]", find) for number, item in enumerate(given)]
    return [item for item in items if item is not None]


def references(given: str | Sequence[Any] | None) -> list[str]:
    """The ids of items that the input names instead of holding them."""
    if given is None or isinstance(given, str):
        return []
    return [
        item["id"]
        for item in given
        if isinstance(item, dict) and _type_of(item) == "item_reference" and isinstance(item.get("id"), str)
    ]


def _type_of(item: Mapping[str, Any]) -> Any:
    kind = item.get("type")
    if kind is None:
        return "message" if "role" in item else "item_reference" if set(item) == {"id"} else None
    return kind


def _item(item: Any, where: str, find: Callable[[str], Item]) -> Item | None:
    if isinstance(item, str):
        return _message({"role": "user", "content": item}, where)
    if not isinstance(item, dict):
        raise bad_request(f"{where} must be an object with a type, not {type(item).__name__}.", "input")
    kind = _type_of(item)
    if kind == "item_reference":
        if not isinstance(item.get("id"), str):
            raise bad_request(f"{where} is an item_reference without an id.", "input")
        return find(item["id"])
    if kind == "message":
        return _message(item, where)
    if kind in _CALLS:
        return _call(item, kind, where)
    if kind in _OUTPUTS:
        return _call_output(item, kind, where)
    if kind == "reasoning":
        return {"summary": [], "status": "completed", **item, "id": _id(item, kind), "type": kind}
    if not isinstance(kind, str):
        raise bad_request(f"{where} needs a type, such as message or function_call_output.", "input")
    _log.warning("responses: an input item of type %.64r is left out: nothing here makes or reads it", kind)
    return None


def _id(item: Mapping[str, Any], kind: str) -> str:
    given = item.get("id")
    return given if isinstance(given, str) and given else new_id(_PREFIXES[kind])


def _message(item: Mapping[str, Any], where: str) -> Item:
    role = item.get("role")
    if role not in _ROLES:
        raise bad_request(f"{where}.role is {role!r:.64}; use one of {', '.join(_ROLES)}.", "input")
    content = item.get("content")
    kind = "output_text" if role == "assistant" else "input_text"
    texts = _texts(content, f"{where}.content")
    parts: list[Item] = [{"type": kind, "text": text} for text in texts]
    if role == "assistant":
        for part in parts:
            part["annotations"] = []
    return {
        "type": "message",
        "id": _id(item, "message"),
        "role": role,
        "status": "completed",
        "content": parts,
    }


def _texts(content: Any, where: str, *, omit: bool = False) -> list[str]:
    """The texts of a content. omit: what is no text becomes a note that says so, instead of an ApiError."""
    if content is None:
        return []
    if isinstance(content, str):
        return [content]
    if not isinstance(content, list):
        raise bad_request(f"{where} must be a text or a list of parts.", "input")
    texts = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = part.get("type") if isinstance(part, dict) else type(part).__name__
        text = part.get("text", part.get("refusal")) if isinstance(part, dict) else None
        if isinstance(text, str) and (kind in _TEXT_PARTS or kind is None):
            texts.append(text)
        elif omit:
            texts.append(_OMITTED)
        else:
            raise bad_request(
                f"{where} has a part of type {kind!r:.64}; this model reads text only, "
                'so send parts of the form {"type": "input_text", "text": "..."}.',
                "input",
            )
    return texts


def _call(item: Mapping[str, Any], kind: str, where: str) -> Item:
    name, given_id = item.get("name"), _id(item, kind)
    if not isinstance(name, str) or not name:
        raise bad_request(f"{where} is a {kind} without a name.", "input")
    call_id = item.get("call_id")
    made: Item = {"type": kind, "id": given_id, "call_id": call_id if isinstance(call_id, str) else given_id}
    made["name"] = name
    if kind == "custom_tool_call":
        made["input"] = _as_text(item.get("input"))
    else:
        made["arguments"] = _as_text(item.get("arguments")) or "{}"
    made["status"] = "completed"
    return made


def _call_output(item: Mapping[str, Any], kind: str, where: str) -> Item:
    call_id = item.get("call_id")
    if not isinstance(call_id, str) or not call_id:
        raise bad_request(f"{where} is a {kind} without a call_id.", "input")
    output = item.get("output")
    if not isinstance(output, str | list):
        output = _as_text(output)
    made = {"type": kind, "id": _id(item, kind), "call_id": call_id, "output": output}
    return {**made, "status": "completed"}


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def chat_messages(instructions: str | None, items: Iterable[Item]) -> list[dict[str, Any]]:
    """Chat messages of a conversation: instructions first, what the assistant did in one turn together.

    Instructions and the system messages right after them become one message, since templates take one.
    """
    writer = _Messages(instructions)
    for item in items:
        writer.add(item)
    return writer.done()


class _Messages:
    def __init__(self, instructions: str | None) -> None:
        self._messages: list[dict[str, Any]] = []
        self._turn: dict[str, Any] | None = None  #: the assistant message that is still growing
        if instructions:
            self._messages.append({"role": "system", "content": instructions})

    def add(self, item: Item) -> None:
        kind = item["type"]
        if kind == "message" and item["role"] != "assistant":
            self._close_turn()
            self._add_message(item["role"], _joined(item["content"]))
        elif kind == "message":
            self._assistant("content")["content"] = _joined(item["content"])
        elif kind == "reasoning":
            if text := reasoning_text(item):
                self._assistant("reasoning")["reasoning"] = text
        elif kind in _CALLS:
            self._assistant("call").setdefault("tool_calls", []).append(_tool_call(item))
        elif kind in _OUTPUTS:
            self._close_turn()
            output = item["output"]
            text = output if isinstance(output, str) else "\n".join(_texts(output, "output", omit=True))
            self._messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": text})

    def done(self) -> list[dict[str, Any]]:
        self._close_turn()
        return self._messages

    def _add_message(self, role: str, text: str) -> None:
        leading = all(message["role"] == "system" for message in self._messages)
        if role in ("system", "developer") and leading:
            before = self._messages.pop()["content"] + "\n\n" if self._messages else ""
            self._messages.append({"role": "system", "content": before + text})
        else:
            self._messages.append({"role": role, "content": text})

    def _assistant(self, part: str) -> dict[str, Any]:
        """The open turn, a new one where `part` cannot follow what it holds."""
        turn = self._turn
        if turn is not None:
            begun = "tool_calls" in turn or turn["content"] is not None
            if (part == "reasoning" and (begun or "reasoning" in turn)) or (part == "content" and begun):
                self._close_turn()
        if self._turn is None:
            self._turn = {"role": "assistant", "content": None}
        return self._turn

    def _close_turn(self) -> None:
        if self._turn is not None:
            self._messages.append(self._turn)
            self._turn = None


def _joined(parts: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(part.get("text", part.get("refusal", "")) for part in parts)


def reasoning_text(item: Item) -> str:
    """What a reasoning item holds: its text, else what is sealed in encrypted_content, else its summary."""
    for field in ("content", "summary"):
        parts = item.get(field)
        text = "\n".join(_texts(parts, field, omit=True)) if isinstance(parts, list) else ""
        if field == "content" and not text:
            text = unseal(item.get("encrypted_content"))
        if text:
            return text
    return ""


def _tool_call(item: Item) -> dict[str, Any]:
    if item["type"] == "custom_tool_call":
        arguments = json.dumps({"input": item["input"]}, ensure_ascii=False)
    else:
        arguments = _readable(item["arguments"])
    return {
        "id": item["call_id"],
        "type": "function",
        "function": {"name": item["name"], "arguments": arguments},
    }


def _readable(arguments: str) -> str:
    """Arguments as a JSON object. A call that the model once wrote badly must not end the conversation."""
    try:
        if isinstance(json.loads(arguments), dict):
            return arguments
    except (ValueError, RecursionError):
        pass
    return json.dumps({"input": arguments}, ensure_ascii=False)


def missing_item(item_id: str) -> ApiError:
    return ApiError(404, f"Item with id '{item_id:.128}' not found.", param="input")
