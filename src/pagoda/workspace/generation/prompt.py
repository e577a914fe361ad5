"""From a branch of messages to the messages of a chat request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pagoda.workspace.accounts.principal import Principal
from pagoda.workspace.errors import WorkspaceError
from pagoda.workspace.providers.registry import Resolved
from pagoda.workspace.storage.tables import Message


class Attachments(Protocol):
    """What images and files become for a model."""

    async def checked(
        self, principal: Principal, parts: Sequence[dict[str, Any]], models: Sequence[Resolved]
    ) -> list[dict[str, Any]]:
        """The parts of a question as they are kept. Raises WorkspaceError."""
        ...

    async def contents(
        self, user_id: str, parts: Sequence[Mapping[str, Any]], *, vision: bool
    ) -> list[dict[str, Any]]:
        """OpenAI's content parts of stored ones of the types image and file. vision: whether the model sees
        pictures; for another one they are named alone. Raises WorkspaceError.
        """
        ...


async def chat_messages(
    branch: Sequence[Message],
    system: str,
    user_id: str,
    attachments: Attachments | None,
    *,
    vision: bool = False,
) -> list[dict[str, Any]]:
    """A system prompt and a branch. What a model thought is not sent back. vision: whether it gets pictures.
    Raises WorkspaceError.
    """
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for message in branch:
        if message.role == "user":
            content = await _asked(message.parts, user_id, attachments, vision)
            messages.append({"role": "user", "content": content})
        else:
            messages += answered(message.parts)
    return messages


def chat_body(model: str, messages: list[dict[str, Any]], params: Mapping[str, Any]) -> dict[str, Any]:
    """params: as `Setup.merged` gives them."""
    wanted = {name: value for name, value in params.items() if name != "system"}
    return {"model": model, "messages": messages, **wanted}


def said(message: Message) -> list[dict[str, Any]]:
    """A stored message by its text, without attachments."""
    if message.role == "user":
        return [{"role": "user", "content": _text(message.parts)}]
    return answered(message.parts)


def answered(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A stored answer as a chat request has it; nothing for one that holds nothing."""
    text = _text(parts)
    calls = [part for part in parts if part["type"] == "tool_call"]
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


async def _asked(
    parts: Sequence[Mapping[str, Any]], user_id: str, attachments: Attachments | None, vision: bool
) -> str | list[dict[str, Any]]:
    attached = [part for part in parts if part["type"] in ("image", "file")]
    text = _text(parts)
    if not attached:
        return text
    if attachments is None:
        raise WorkspaceError(400, "This server takes no attachments.", param="parts")
    contents = await attachments.contents(user_id, attached, vision=vision)
    if all(part.get("type") == "text" for part in contents):  # as models without eyes expect it
        return "\n\n".join([*(part["text"] for part in contents), *([text] if text else [])])
    return [*contents, *([{"type": "text", "text": text}] if text else [])]


def _text(parts: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join(str(part["text"]) for part in parts if part["type"] == "text")
