"""Open WebUI's export of chats: a list of chats whose `chat.history` holds the tree of messages.

Times are seconds there. Reasoning is in `output` items, or in older files in <details type="reasoning">
before the text. Attachments are named but their bytes are not in the file.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pagoda.workspace.files.worker_process import RefusedError

_DETAILS = re.compile(r'<details type="reasoning"([^>]*)>(.*?)</details>\s*', re.S)
_SUMMARY = re.compile(r"<summary>.*?</summary>\s*", re.S)
_DURATION = re.compile(r'duration="(\d+(?:\.\d+)?)"')


def matches(data: Any) -> bool:
    entries = data if isinstance(data, list) else [data]
    return bool(entries) and all(isinstance(each, dict) and _document(each) is not None for each in entries)


def read(data: Any) -> Iterator[dict[str, Any]]:
    """Raises RefusedError."""
    for entry in data if isinstance(data, list) else [data]:
        document = _document(entry)
        if document is None:
            raise RefusedError("A chat of the file has no history.")
        yield _read(entry, document)


def _document(entry: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found = entry.get("chat", entry)
    if not isinstance(found, dict):
        return None
    history = found.get("history")
    if isinstance(history, dict) and isinstance(history.get("messages"), dict):
        return found
    return found if "chat" in entry and isinstance(found.get("messages"), list) else None


def _read(entry: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    history = document.get("history")
    if isinstance(history, dict):
        tree: dict[str, Any] = history["messages"]
        leaf = history.get("currentId")
    else:  # the oldest files have one line of messages
        line = [each for each in document["messages"] if isinstance(each, dict)]
        tree, leaf = {}, None
        for number, each in enumerate(line):
            key = str(each.get("id") or number)
            tree[key] = {"parentId": leaf, **each}
            leaf = key
    tags = (entry.get("meta") or {}).get("tags") or document.get("tags") or []
    params = document.get("params")
    return {
        "title": entry.get("title") or document.get("title") or "",
        "pinned": bool(entry.get("pinned")),
        "archived": bool(entry.get("archived")),
        "leaf_id": leaf,
        "models": [each for each in document.get("models") or [] if isinstance(each, str)],
        "params": params if isinstance(params, dict) else {},
        "tags": [each.get("name") if isinstance(each, dict) else each for each in tags],
        "created_at": _ms(entry.get("created_at") or document.get("timestamp")),
        "updated_at": _ms(entry.get("updated_at") or entry.get("created_at")),
        "messages": [_message(key, each) for key, each in tree.items() if isinstance(each, dict)],
    }


def _message(key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    rating = (entry.get("annotation") or {}).get("rating")
    error = entry.get("error")
    if isinstance(error, dict):
        error = error.get("content") or error.get("message")
    usage = entry.get("usage") or entry.get("info")
    return {
        "id": key,
        "parent_id": entry.get("parentId"),
        "role": entry.get("role"),
        "model_id": entry.get("model"),
        "status": "failed" if error else "done",
        "parts": [*_files(entry), *_said(entry)],
        "usage": usage if isinstance(usage, dict) and "completion_tokens" in usage else None,
        "error": {"message": str(error)} if error else None,
        "rating": rating if rating in (1, -1) else None,
        "created_at": _ms(entry.get("timestamp")),
    }


def _files(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    files = [each for each in entry.get("files") or [] if isinstance(each, dict)]
    return [
        {
            "type": "image" if each.get("type") == "image" else "file",
            "file_id": None,
            "name": str(each.get("name") or "image"),
        }
        for each in files
    ]


def _said(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    content = entry.get("content")
    text = content if isinstance(content, str) else ""
    for item in entry.get("output") or []:
        if isinstance(item, dict) and item.get("type") == "reasoning":
            pieces = item.get("content") or item.get("summary") or []
            thought = "".join(str(each.get("text", "")) for each in pieces if isinstance(each, dict))
            parts.append({"type": "reasoning", "text": thought, "seconds": item.get("duration")})
    for match in _DETAILS.finditer(text):
        lines = html.unescape(_SUMMARY.sub("", match[2])).strip().splitlines()
        seconds = _DURATION.search(match[1])
        if not parts or parts[-1]["type"] != "reasoning":
            parts.append(
                {
                    "type": "reasoning",
                    "text": "\n".join(line.removeprefix(">").removeprefix(" ") for line in lines),
                    "seconds": float(seconds[1]) if seconds else None,
                }
            )
    if rest := _DETAILS.sub("", text):
        parts.append({"type": "text", "text": rest})
    return parts


def write(chat: Mapping[str, Any]) -> dict[str, Any]:
    """From the own format's chat."""
    children: dict[str | None, list[str]] = {}
    for each in chat["messages"]:
        children.setdefault(each["parent_id"], []).append(each["id"])
    messages = {each["id"]: _written(each, children.get(each["id"], [])) for each in chat["messages"]}
    line, at = [], chat["leaf_id"]
    while at in messages:
        line.append(messages[at])
        at = messages[at]["parentId"]
    return {
        "id": chat["id"],
        "title": chat["title"],
        "chat": {
            "title": chat["title"],
            "models": chat["models"],
            "params": chat["params"],
            "files": [],
            "tags": chat["tags"],
            "history": {"currentId": chat["leaf_id"], "messages": messages},
            "messages": line[::-1],
        },
        "pinned": chat["pinned"],
        "archived": chat["archived"],
        "folder_id": None,
        "share_id": None,
        "meta": {"tags": chat["tags"]},
        "created_at": chat["created_at"] // 1000,
        "updated_at": chat["updated_at"] // 1000,
    }


def _written(message: Mapping[str, Any], children: Sequence[str]) -> dict[str, Any]:
    parts = message["parts"]
    found: dict[str, Any] = {
        "id": message["id"],
        "parentId": message["parent_id"],
        "childrenIds": list(children),
        "role": message["role"],
        "content": "\n\n".join(part["text"] for part in parts if part["type"] == "text"),
        "timestamp": message["created_at"] // 1000,
    }
    if message["role"] == "assistant":
        found |= {"model": message["model_id"], "modelName": message["model_id"], "done": True}
    thoughts = [part for part in parts if part["type"] == "reasoning"]
    if thoughts:
        found["output"] = [
            *[
                {
                    "type": "reasoning",
                    "content": [{"type": "output_text", "text": part["text"]}],
                    "duration": part.get("seconds"),
                }
                for part in thoughts
            ],
            {"type": "message", "content": [{"type": "output_text", "text": found["content"]}]},
        ]
    for name in ("usage", "error"):
        if message[name]:
            found[name] = message[name]
    if message["rating"]:
        found["annotation"] = {"rating": message["rating"]}
    files = [part for part in parts if part["type"] in ("file", "image")]
    if files:
        found["files"] = [{"type": part["type"], "name": part.get("name") or "image"} for part in files]
    return found


def _ms(seconds: Any) -> int | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e17:
        return None
    while seconds > 1e11:  # newer files have some times in milliseconds or finer
        seconds /= 1000
    return int(seconds * 1000)
