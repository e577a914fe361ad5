"""Pagoda's own format: everything that is known of a chat, as the database has it.

{"format": "pagoda-chats", "version": 1, "exported_at": ms, "chats": [...], "prompts": [...]}; a chat has its
folders by name from the outermost one, its tags, and its messages with their ids and parents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pagoda.workspace.files.worker_process import RefusedError

if TYPE_CHECKING:
    from pagoda.workspace.storage.tables import Chat, Message

FORMAT, VERSION = "pagoda-chats", 1
CHAT_FIELDS = (
    "id", "title", "title_from", "pinned", "archived", "leaf_id", "models", "params", "filter_ids",
    "created_at", "updated_at",
)  # fmt: skip
MESSAGE_FIELDS = (
    "id", "parent_id", "role", "model_id", "status", "parts", "usage", "timing", "error", "rating", "meta",
    "created_at",
)  # fmt: skip


def write(
    chat: Chat, messages: Sequence[Message], folders: Sequence[str], tags: Sequence[str]
) -> dict[str, Any]:
    """One chat."""
    return {
        **{name: getattr(chat, name) for name in CHAT_FIELDS},
        "folders": list(folders),
        "tags": list(tags),
        "messages": [{name: getattr(each, name) for name in MESSAGE_FIELDS} for each in messages],
    }


def matches(data: Any) -> bool:
    return isinstance(data, dict) and data.get("format") == FORMAT


def read(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Raises RefusedError."""
    if data.get("version") != VERSION:
        raise RefusedError(
            f"The file is of version {data.get('version')}, and this Pagoda reads version {VERSION}.",
            "import_version",
            version=str(data.get("version"))[:20],
        )
    chats = data.get("chats")
    if not isinstance(chats, list):
        raise RefusedError("The file has no list of chats.", "import_unknown")
    yield from chats
