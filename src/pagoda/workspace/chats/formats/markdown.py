"""A chat as a text to read: its visible branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pagoda.workspace.storage.tables import Chat, Message


def write(chat: Chat, branch: Sequence[Message]) -> str:
    """What models thought is left out, as it is when a chat is copied."""
    pieces = [f"# {chat.title or 'Chat'}"]
    for message in branch:
        pieces.append(f"## {'User' if message.role == 'user' else message.model_id or 'Assistant'}")
        pieces += [text for part in message.parts if (text := _text(part))]
        if message.error:
            pieces.append(f"*{message.error.get('message', 'failed')}*")
    return "\n\n".join(pieces) + "\n"


def _text(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if kind == "text":
        return str(part.get("text", "")).strip()
    if kind in ("file", "image"):
        return f"*{part.get('name') or kind}*"
    if kind == "tool_call":
        return f"*{part.get('name', '')}* `{part.get('arguments', '')}`"
    return ""
