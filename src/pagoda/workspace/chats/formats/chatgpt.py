"""ChatGPT's conversations.json: a list of conversations whose `mapping` is the tree of messages.

Nodes without words for the reader (system, tools, hidden ones) are left out, their children joined to the one
above; the pieces of one answer (thoughts, code, text) become one message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pagoda.workspace.files.worker_process import RefusedError


def matches(data: Any) -> bool:
    entries = data if isinstance(data, list) else [data]
    return bool(entries) and all(
        isinstance(each, dict) and isinstance(each.get("mapping"), dict) for each in entries
    )


def read(data: Any) -> Iterator[dict[str, Any]]:
    """Raises RefusedError."""
    for entry in data if isinstance(data, list) else [data]:
        yield _read(entry)


def _read(entry: Mapping[str, Any]) -> dict[str, Any]:
    nodes = {key: node for key, node in entry["mapping"].items() if isinstance(node, dict)}
    children: dict[str | None, list[str]] = {}
    for key, node in nodes.items():
        parent = node.get("parent")
        children.setdefault(parent if parent in nodes else None, []).append(key)
    stands_for: dict[str | None, str | None] = {None: None}  # node -> the message that shows it
    messages: dict[str, dict[str, Any]] = {}
    todo = list(reversed(children.get(None, [])))
    while todo:
        key = todo.pop()
        node = nodes[key]
        parent = node.get("parent")
        above = stands_for.get(parent if parent in nodes else None)
        stands_for[key] = above
        if (message := _message(key, node.get("message"))) is not None:
            joined = messages.get(above or "")
            alone = len(children.get(parent, [])) == 1
            if joined and joined["role"] == message["role"] == "assistant" and alone:
                joined["parts"] += message["parts"]
            else:
                message["parent_id"] = above
                messages[key] = message
                stands_for[key] = key
        todo += reversed(children.get(key, []))
    if len(stands_for) != len(nodes) + 1:
        raise RefusedError("The messages of a conversation in the file go in a circle.")
    return {
        "title": entry.get("title") or "",
        "pinned": bool(entry.get("is_starred")),
        "archived": bool(entry.get("is_archived")),
        "leaf_id": stands_for.get(entry.get("current_node")),
        "created_at": _ms(entry.get("create_time")),
        "updated_at": _ms(entry.get("update_time")),
        "messages": list(messages.values()),
    }


def _message(key: str, message: Any) -> dict[str, Any] | None:
    if not isinstance(message, dict):
        return None
    role = (message.get("author") or {}).get("role")
    metadata = message.get("metadata") or {}
    if role not in ("user", "assistant") or metadata.get("is_visually_hidden_from_conversation"):
        return None
    parts = _parts(message.get("content") or {})
    if not parts:
        return None
    return {
        "id": key,
        "role": role,
        "model_id": metadata.get("model_slug") if role == "assistant" else None,
        "parts": parts,
        "created_at": _ms(message.get("create_time")),
    }


def _parts(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    kind = content.get("content_type")
    if kind == "thoughts":
        thoughts = [each for each in content.get("thoughts") or [] if isinstance(each, dict)]
        text = "\n\n".join(str(each.get("content") or each.get("summary") or "") for each in thoughts)
        return [{"type": "reasoning", "text": text, "seconds": None}] if text else []
    if kind == "code":
        text = str(content.get("text") or "")
        language = content.get("language")
        named = language if isinstance(language, str) and language != "unknown" else ""
        return [{"type": "text", "text": f"```{named}\n{text}\n```"}] if text else []
    if kind not in ("text", "multimodal_text"):
        return []
    parts: list[dict[str, Any]] = []
    for each in content.get("parts") or []:
        if isinstance(each, str) and each:
            parts.append({"type": "text", "text": each})
        elif isinstance(each, dict) and each.get("content_type") == "image_asset_pointer":
            parts.append({"type": "image", "file_id": None, "name": "image"})
    return parts


def _ms(seconds: Any) -> int | None:
    good = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 1e11
    return int(seconds * 1000) if good else None
