"""From the pieces of an answer to output items and the events that tell of them.

Parts of reasoning are told of by OpenAI's names (content_part); vLLM's reasoning_part events, which OpenAI's
API does not have, make its client for Node fail.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from pagoda.api.responses_api.ids import new_id
from pagoda.api.responses_api.sealed import seal
from pagoda.text.parsing import MessageDelta, ToolCallDelta

Event = dict[str, Any]  #: without its sequence number


class OutputBuilder:
    """Builds the output of one response: reasoning, message and call items, one after the other.

    White space before a text is held back until text follows, so that what stands between reasoning and a
    tool call is no message; newlines that set a text off from reasoning are left out.

    custom: names of tools whose calls are custom_tool_call items. namespaces: of functions that have one.
    logprobs: write those of the message's tokens. sealed: give reasoning as encrypted_content too. summary:
    and as its own summary, for clients that show nothing else.
    """

    def __init__(
        self,
        *,
        custom: Collection[str] = (),
        namespaces: Mapping[str, str] | None = None,
        logprobs: bool = False,
        sealed: bool = False,
        summary: bool = False,
    ) -> None:
        self.items: list[dict[str, Any]] = []
        self._custom = custom
        self._namespaces = namespaces or {}
        self._with_logprobs = logprobs
        self._sealed = sealed
        self._summary = summary
        self._open: str | None = None  #: kind of the last item while it grows
        self._text: list[str] = []  #: of the open item
        self._logprobs: list[dict[str, Any]] = []  #: of the open message
        self._held = ""
        self._held_kind = ""
        self._after_thoughts = False  #: and before the text that follows them
        self._held_logprobs: list[dict[str, Any]] = []
        self._call: int | None = None  #: the parser's number of the open call

    def push(self, delta: MessageDelta, logprobs: Mapping[str, Any] | None = None) -> list[Event]:
        """Events of what is new. logprobs: of the tokens of this piece, as chat choices write them."""
        events: list[Event] = []
        if logprobs is not None and self._with_logprobs:
            self._held_logprobs += logprobs["content"]
        if delta.reasoning:
            self._after_thoughts = True
            self._grow(events, "reasoning", delta.reasoning)
        if delta.content:
            self._grow(events, "message", delta.content)
        for call in delta.tool_calls:
            self._grow_call(events, call)
        return events

    def finish(self, *, complete: bool = True) -> list[Event]:
        """Ends the open item, with status incomplete where the answer was cut off. An answer of nothing is an
        empty message.
        """
        events: list[Event] = []
        if not self.items and (complete or self._held):
            self._write(events, "message", self._held)
        self._close(events, "completed" if complete else "incomplete")
        return events

    def _grow(self, events: list[Event], kind: str, text: str) -> None:
        if self._held_kind != kind:
            self._drop_held()
            self._held_kind = kind
        text = self._held + text
        if self._open != kind and not text.strip():
            self._held = text
            return
        self._held = ""
        if kind != "reasoning" and self._after_thoughts:
            self._after_thoughts = False
            text = text.lstrip("\n")
        self._write(events, kind, text)

    def _drop_held(self) -> None:
        self._held = self._held_kind = ""

    def _write(self, events: list[Event], kind: str, text: str) -> None:
        if self._open != kind:
            self._close(events, "completed")
            self._begin(events, kind)
        item = self.items[-1]
        self._text.append(text)
        if not text:
            return
        place = {"item_id": item["id"], "output_index": len(self.items) - 1, "content_index": 0}
        if kind == "reasoning":
            self._held_logprobs.clear()
            events.append({"type": "response.reasoning_text.delta", **place, "delta": text})
            if self._summary:
                events.append(self._summary_event("text.delta", delta=text))
            return
        new, self._held_logprobs = self._held_logprobs, []
        self._logprobs += new
        events.append({"type": "response.output_text.delta", **place, "delta": text, "logprobs": new})

    def _begin(self, events: list[Event], kind: str) -> None:
        item: dict[str, Any]
        if kind == "reasoning":
            item = {
                "id": new_id("rs"),
                "type": "reasoning",
                "summary": [],
                "content": [],
                "status": "in_progress",
            }
            part: dict[str, Any] = {"type": "reasoning_text", "text": ""}
        else:
            item = {
                "id": new_id("msg"),
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
                "content": [],
            }
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        self._add(events, item, kind)
        place = {"item_id": item["id"], "output_index": len(self.items) - 1, "content_index": 0}
        events.append({"type": "response.content_part.added", **place, "part": part})
        if kind == "reasoning" and self._summary:
            events.append(self._summary_event("part.added", part={"type": "summary_text", "text": ""}))

    def _summary_event(self, kind: str, **fields: Any) -> Event:
        place = {"item_id": self.items[-1]["id"], "output_index": len(self.items) - 1, "summary_index": 0}
        return {"type": f"response.reasoning_summary_{kind}", **place, **fields}

    def _add(self, events: list[Event], item: dict[str, Any], kind: str) -> None:
        self.items.append(item)
        self._open = kind
        self._text = []
        self._logprobs = []
        index = len(self.items) - 1
        shown = {key: list(value) if isinstance(value, list) else value for key, value in item.items()}
        events.append({"type": "response.output_item.added", "output_index": index, "item": shown})

    def _grow_call(self, events: list[Event], call: ToolCallDelta) -> None:
        if self._open not in ("call", "custom") or call.index != self._call:
            self._drop_held()
            self._held_logprobs.clear()
            self._close(events, "completed")
            self._begin_call(events, call)
        if not call.arguments:
            return
        self._text.append(call.arguments)
        if self._open == "call":
            place = {"item_id": self.items[-1]["id"], "output_index": len(self.items) - 1}
            events.append(
                {"type": "response.function_call_arguments.delta", **place, "delta": call.arguments}
            )

    def _begin_call(self, events: list[Event], call: ToolCallDelta) -> None:
        self._call = call.index
        name, call_id = call.name or "", call.id or new_id("call")
        if name in self._custom:
            item = {"id": new_id("ctc"), "type": "custom_tool_call", "call_id": call_id, "name": name}
            self._add(events, {**item, "input": "", "status": "in_progress"}, "custom")
            return
        item = {"id": new_id("fc"), "type": "function_call", "call_id": call_id, "name": name}
        if name in self._namespaces:
            item["namespace"] = self._namespaces[name]
        self._add(events, {**item, "arguments": "", "status": "in_progress"}, "call")

    def _close(self, events: list[Event], status: str) -> None:
        if self._open is None:
            return
        item, text = self.items[-1], "".join(self._text)
        place = {"item_id": item["id"], "output_index": len(self.items) - 1}
        item["status"] = status
        if self._open == "reasoning":
            item["content"] = [{"type": "reasoning_text", "text": text}]
            if self._sealed:
                item["encrypted_content"] = seal(text)
            whole = {**place, "content_index": 0}
            events.append({"type": "response.reasoning_text.done", **whole, "text": text})
            events.append({"type": "response.content_part.done", **whole, "part": item["content"][0]})
            if self._summary:
                item["summary"] = [{"type": "summary_text", "text": text}]
                events.append(self._summary_event("text.done", text=text))
                events.append(self._summary_event("part.done", part=item["summary"][0]))
        elif self._open == "message":
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": self._logprobs}
            item["content"] = [part]
            whole = {**place, "content_index": 0}
            done = {"type": "response.output_text.done", **whole, "text": text, "logprobs": self._logprobs}
            events.append(done)
            events.append({"type": "response.content_part.done", **whole, "part": part})
        elif self._open == "call":
            item["arguments"] = text
            kind = "response.function_call_arguments.done"
            events.append({"type": kind, **place, "name": item["name"], "arguments": text})
        else:
            item["input"] = freeform_input(text)
            kind = "response.custom_tool_call_input"
            events.append({"type": f"{kind}.delta", **place, "delta": item["input"]})
            events.append({"type": f"{kind}.done", **place, "input": item["input"]})
        events.append(
            {"type": "response.output_item.done", "output_index": place["output_index"], "item": dict(item)}
        )
        self._open = None


def freeform_input(arguments: str) -> str:
    """The text for a custom tool in the arguments that a model wrote for it."""
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
    if isinstance(parsed, dict):
        if isinstance(parsed.get("input"), str):
            return str(parsed["input"])
        [value] = parsed.values() if len(parsed) == 1 else [None]
        return value if isinstance(value, str) else arguments
    return parsed if isinstance(parsed, str) else arguments
