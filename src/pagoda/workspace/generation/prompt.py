"""From a branch of messages to the messages of a chat request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pagoda.workspace.storage.tables import Message

#: parameters of a chat that go to the model as they are
PARAMETERS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "seed",
    "stop",
    "reasoning_effort",
    "chat_template_kwargs",
)


def chat_body(model: str, branch: Sequence[Message], params: Mapping[str, Any]) -> dict[str, Any]:
    """The request that answers the last message of a branch. What a model thought is not sent back."""
    messages: list[dict[str, Any]] = []
    if system := str(params.get("system") or "").strip():
        messages.append({"role": "system", "content": system})
    for message in branch:
        messages += said(message)
    wanted = {name: params[name] for name in PARAMETERS if params.get(name) is not None}
    return {"model": model, "messages": messages, **wanted}


def said(message: Message) -> list[dict[str, Any]]:
    """One stored message as a chat request has it; nothing for an answer that holds nothing."""
    text = "\n\n".join(part["text"] for part in message.parts if part["type"] == "text")
    if message.role == "user":
        return [{"role": "user", "content": text}]
    calls = [part for part in message.parts if part["type"] == "tool_call"]
    if not text and not calls:
        return []
    answer: dict[str, Any] = {"role": "assistant", "content": text}
    results = []
    if calls:
        answer["tool_calls"] = [
            {
                "id": part["id"],
                "type": "function",
                "function": {"name": part["name"], "arguments": part["arguments"]},
            }
            for part in calls
        ]
        results = [
            {"role": "tool", "tool_call_id": part["id"], "content": str(part.get("result") or "")}
            for part in calls
        ]
    return [answer, *results]
