"""From the pieces of an answer to content blocks and the events that tell of them."""

from __future__ import annotations

import json
from base64 import b64encode
from hashlib import sha256
from secrets import token_hex
from typing import Any

from pagoda.api.responses_api.sealed import seal
from pagoda.text.parsing import MessageDelta, ToolCallDelta

Event = dict[str, Any]


class BlockBuilder:
    """Builds the content of one message: thinking, text and tool_use blocks, one after the other.

    White space before a text is held back until text follows, so that what stands between thinking and a
    tool call is no block; newlines that set a text off from thinking are left out. omit_thinking: thinking
    goes into the signature alone.
    """

    def __init__(self, *, omit_thinking: bool = False) -> None:
        self.blocks: list[dict[str, Any]] = []
        self._omit_thinking = omit_thinking
        self._open: str | None = None  #: kind of the last block while it grows
        self._text: list[str] = []  #: of the open block
        self._held = ""
        self._held_kind = ""
        self._after_thoughts = False  #: and before the text that follows them
        self._call: int | None = None  #: the parser's number of the open call

    @property
    def has_calls(self) -> bool:
        return any(block["type"] == "tool_use" for block in self.blocks)

    def push(self, delta: MessageDelta) -> list[Event]:
        """Events of what is new."""
        events: list[Event] = []
        if delta.reasoning:
            self._after_thoughts = True
            self._grow(events, "thinking", delta.reasoning)
        if delta.content:
            self._grow(events, "text", delta.content)
        for call in delta.tool_calls:
            self._grow_call(events, call)
        return events

    def finish(self) -> list[Event]:
        """Ends the open block. An answer of nothing is an empty text."""
        events: list[Event] = []
        if not self.blocks:
            self._write(events, "text", self._held)
        self._close(events)
        return events

    def _grow(self, events: list[Event], kind: str, text: str) -> None:
        if self._held_kind != kind:
            self._held, self._held_kind = "", kind
        text = self._held + text
        if self._open != kind and not text.strip():
            self._held = text
            return
        self._held = ""
        if kind != "thinking" and self._after_thoughts:
            self._after_thoughts = False
            text = text.lstrip("\n")
        self._write(events, kind, text)

    def _write(self, events: list[Event], kind: str, text: str) -> None:
        if self._open != kind:
            self._close(events)
            block = {"type": kind, kind: ""}
            self._begin(events, {**block, "signature": ""} if kind == "thinking" else block)
        self._text.append(text)
        if text and not (kind == "thinking" and self._omit_thinking):
            self._delta(events, {"type": f"{kind}_delta", kind: text})

    def _begin(self, events: list[Event], block: dict[str, Any]) -> None:
        self.blocks.append(block)
        self._open = block["type"]
        self._text = []
        shown = dict(block)
        events.append({"type": "content_block_start", "index": len(self.blocks) - 1, "content_block": shown})

    def _grow_call(self, events: list[Event], call: ToolCallDelta) -> None:
        if self._open != "tool_use" or call.index != self._call:
            self._held = self._held_kind = ""
            self._close(events)
            self._call = call.index
            block = {"type": "tool_use", "id": f"toolu_{token_hex(12)}", "name": call.name or "", "input": {}}
            self._begin(events, block)
        if call.arguments:
            self._text.append(call.arguments)
            self._delta(events, {"type": "input_json_delta", "partial_json": call.arguments})

    def _close(self, events: list[Event]) -> None:
        if self._open is None:
            return
        block, text = self.blocks[-1], "".join(self._text)
        if self._open == "thinking":
            block["thinking"] = "" if self._omit_thinking else text
            block["signature"] = seal(text) if self._omit_thinking else _signature(text)
            self._delta(events, {"type": "signature_delta", "signature": block["signature"]})
        elif self._open == "text":
            block["text"] = text
        else:
            block["input"] = _arguments(text)
        events.append({"type": "content_block_stop", "index": len(self.blocks) - 1})
        self._open = None

    def _delta(self, events: list[Event], delta: dict[str, Any]) -> None:
        events.append({"type": "content_block_delta", "index": len(self.blocks) - 1, "delta": delta})


def _signature(text: str) -> str:
    """Clients drop thinking without a signature; nothing here depends on its value."""
    return b64encode(sha256(text.encode()).digest()).decode()


def _arguments(text: str) -> dict[str, Any]:
    """The input of a call; of one that was cut off, what it was is lost."""
    try:
        parsed = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
