"""A worker: reads a file of chats in any format that is known, checks all of it, writes one chat a line.

What it writes is as the tables want it; the server need not look at it again. A file with one bad chat is
refused as a whole. Files of an archive are unpacked, and told of one a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pagoda.workspace.chats.archive import Archive
from pagoda.workspace.chats.formats import chatgpt, open_webui, own
from pagoda.workspace.chats.ready import CHATS_FILE, FILES_FILE, file_ids_of, ready
from pagoda.workspace.files.worker_process import RefusedError, serve_once

MOST_JSON = 300_000_000  #: bytes; it is held in memory as a whole
LONGEST_TITLE = 200
_FORMATS = (("Pagoda", own), ("Open WebUI", open_webui), ("ChatGPT", chatgpt))
_STATUSES = ("done", "stopped", "failed")
_TEXTS = ("text", "reasoning", "file", "image", "tool_call", "status", "source", "embed")
_LATEST = 1 << 52  #: milliseconds


def convert(source: str, folder: str, most_bytes: str) -> dict[str, Any]:
    """Writes CHATS_FILE and FILES_FILE into the folder. most_bytes: of one file. Returns {"format",
    "chats": count, "files": count, "bytes": of all files, "prompts": [...]}. Raises RefusedError.
    """
    path, target = Path(source), Path(folder)
    archive = Archive(path) if Archive.is_one(path) else None
    if archive is None and path.stat().st_size > MOST_JSON:
        megabytes = MOST_JSON // 1_000_000
        raise RefusedError(f"The file is larger than {megabytes} MB.", "too_large", megabytes=megabytes)
    data = _parsed(path.read_bytes() if archive is None else archive.chats(MOST_JSON))
    name, chats = _detected(data)
    count = 0
    file_ids: dict[str, None] = {}
    with (target / CHATS_FILE).open("w", encoding="utf-8") as lines:
        for number, chat in enumerate(chats, 1):
            checked = ready(_checked(chat, number))
            lines.write(json.dumps(checked) + "\n")
            file_ids |= dict.fromkeys(file_ids_of(checked))
            count += 1
    prompts = data.get("prompts") if own.matches(data) else None
    library = [_checked_prompt(each) for each in prompts or []]
    sizes = []
    with (target / FILES_FILE).open("w", encoding="utf-8") as lines:
        if archive is not None:
            for file in archive.unpack(file_ids, target, int(most_bytes)):
                lines.write(json.dumps(file) + "\n")
                sizes.append(file["size"])
    return {"format": name, "chats": count, "files": len(sizes), "bytes": sum(sizes), "prompts": library}


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError as error:
        raise RefusedError("The file is nested too deeply to be one of chats.", "import_unknown") from error
    except ValueError as error:  # UnicodeDecodeError is one
        raise RefusedError("The file is not JSON.", "import_not_json") from error


def _detected(data: Any) -> tuple[str, Iterable[dict[str, Any]]]:
    if data == []:
        raise RefusedError("The file holds no chats.", "import_empty")
    for name, module in _FORMATS:
        if module.matches(data):
            return name, _reading(name, module.read(data))
    raise RefusedError(
        "The file is none of the formats known here: Pagoda's, Open WebUI's or ChatGPT's chats.",
        "import_unknown",
    )


def _reading(name: str, chats: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    try:
        yield from chats
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        message = f"The file looks like {name}'s, but some of it is not as it should be."
        raise RefusedError(message, "import_damaged", format=name) from error


def _checked(chat: Any, number: int) -> dict[str, Any]:
    """Values of the right types; those that do not matter get a default, the others are an error."""
    if not isinstance(chat, dict) or not isinstance(chat.get("messages"), list):
        raise RefusedError(
            f"Chat {number} of the file has no list of messages.", "import_chat", number=number
        )
    messages = [_checked_message(each, number) for each in chat["messages"]]
    ids = {each["id"] for each in messages}
    if len(ids) != len(messages):
        raise RefusedError(
            f"Chat {number} of the file has two messages with the same id.", "import_chat", number=number
        )
    for each in messages:
        if each["parent_id"] not in ids:
            each["parent_id"] = None
    _check_tree(messages, number)
    leaf = chat.get("leaf_id")
    return {
        "title": " ".join(str(chat.get("title") or "").split())[:LONGEST_TITLE],
        "title_from": chat.get("title_from") if chat.get("title_from") in ("words", "model") else "user",
        "pinned": chat.get("pinned") is True,
        "archived": chat.get("archived") is True,
        "leaf_id": leaf if leaf in ids else messages[-1]["id"] if messages else None,
        "models": _strings(chat.get("models")),
        "params": _object(chat.get("params")) or {},
        "filter_ids": _strings(chat.get("filter_ids")),
        "folders": _strings(chat.get("folders")),
        "tags": _strings(chat.get("tags")),
        "created_at": _time(chat.get("created_at")),
        "updated_at": _time(chat.get("updated_at")),
        "messages": messages,
    }


def _checked_message(message: Any, number: int) -> dict[str, Any]:
    if not isinstance(message, dict) or not isinstance(message.get("id"), str) or not message["id"]:
        raise RefusedError(f"A message of chat {number} of the file has no id.", "import_chat", number=number)
    if message.get("role") not in ("user", "assistant"):
        raise RefusedError(
            f"A message of chat {number} of the file is neither the user's nor a model's.",
            "import_chat",
            number=number,
        )
    parts = message.get("parts")
    if not isinstance(parts, list) or not all(map(_is_part, parts)):
        raise RefusedError(
            f"A message of chat {number} of the file has parts that are not as they should be.",
            "import_chat",
            number=number,
        )
    model, rating, status = message.get("model_id"), message.get("rating"), message.get("status", "done")
    return {
        "id": message["id"],
        "parent_id": message.get("parent_id"),
        "role": message["role"],
        "model_id": model if isinstance(model, str) else None,
        "status": status if status in _STATUSES else "stopped",
        "parts": parts,
        "usage": _object(message.get("usage")),
        "timing": _object(message.get("timing")),
        "error": _object(message.get("error")),
        "rating": rating if rating in (1, -1) else None,
        "meta": _object(message.get("meta")) or {},
        "created_at": _time(message.get("created_at")),
    }


def _checked_prompt(prompt: Any) -> dict[str, str]:
    fields = ("command", "title", "content")
    if not isinstance(prompt, dict) or not all(isinstance(prompt.get(name), str) for name in fields):
        raise RefusedError("A prompt of the file has no command, title or content.")
    return {name: prompt[name] for name in fields}


def _check_tree(messages: list[dict[str, Any]], number: int) -> None:
    parents = {each["id"]: each["parent_id"] for each in messages}
    good: set[str | None] = {None}
    for each in parents:
        path: list[str] = []
        at: str | None = each
        seen: set[str] = set()
        while at is not None and at not in good:
            if at in seen:
                raise RefusedError(
                    f"The messages of chat {number} of the file go in a circle.", "import_chat", number=number
                )
            seen.add(at)
            path.append(at)
            at = parents[at]
        good.update(path)


def _is_part(part: Any) -> bool:
    if not isinstance(part, dict) or part.get("type") not in _TEXTS:
        return False
    if not isinstance(part.get("file_id"), str | None):
        return False
    return part["type"] not in ("text", "reasoning") or isinstance(part.get("text"), str)


def _object(value: Any) -> dict[str, Any] | None:
    return dict(value) if isinstance(value, Mapping) else None


def _strings(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _time(value: Any) -> int | None:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LATEST
    return value if good else None


if __name__ == "__main__":
    serve_once(convert)
