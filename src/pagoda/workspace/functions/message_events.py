"""What functions emit, as changes of the answer that is being made, or as events of the user's tabs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pagoda.workspace.functions.context import Tabs
from pagoda.workspace.generation.run import Run

MOST_PARTS = 200  #: that functions add to one answer
_LONGEST = 20_000  #: characters of a status or the name of a source
_LEVELS = frozenset(("info", "success", "warning", "error"))
_log = logging.getLogger("pagoda.functions")


class MessageEvents:
    """Takes the events of one answer's functions; after the answer has ended they change nothing."""

    def __init__(self, run: Run, tabs: Tabs, *, execute: Callable[[], bool] = bool) -> None:
        self._run = run
        self._tabs = tabs
        self._execute = execute
        self._added = 0

    def take(self, event: Any) -> None:
        """One event, `{"type", "data"}`; what is none is named in the log."""
        if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
            _log.warning("a function emitted something that is no event")
            return
        kind, data = event["type"], event.get("data")
        data = data if isinstance(data, Mapping) else {}
        if kind == "notification":
            self._notify(data)
            return
        if self._run.ended:
            return
        match kind:
            case "status":
                self._add(_status(data))
            case "message" | "chat:message:delta":
                self._say(data.get("content"))
            case "replace" | "chat:message":
                if isinstance(text := data.get("content"), str):
                    set_text(self._run, text)
            case "files" | "chat:message:files":
                self._add(*[_file(each) for each in _objects(data.get("files"))])
            case "embeds" | "chat:message:embeds":
                self._embed(data)
            case "source" | "citation":
                self._add(_source(data))
            case "chat:completion":
                self._complete(data)
            case "chat:message:error":
                self._add(_status({"description": _error_of(data), "done": True}))
            case "execute" if self._execute():
                self._tabs.publish_once(
                    self._run.user_id, {"type": "execute", "code": str(data.get("code") or "")}
                )
            case _:
                _log.debug("event %s of a function has no effect here", kind)

    def _say(self, text: Any) -> None:
        if isinstance(text, str) and text:
            self._run.tell(*self._run.builder.take({"choices": [{"delta": {"content": text}}]}))

    def _complete(self, data: Mapping[str, Any]) -> None:
        if isinstance(text := data.get("content"), str):
            set_text(self._run, text)
        if data.get("choices") or data.get("usage"):
            self._run.tell(*self._run.builder.take(dict(data)))
        if data.get("error"):
            self._add(_status({"description": _error_of(data), "done": True}))

    def _embed(self, data: Mapping[str, Any]) -> None:
        if data.get("replace"):
            parts = self._run.builder.parts
            parts[:] = [part for part in parts if part["type"] != "embed"]
            tell_all(self._run)
        listed = data.get("embeds")
        found = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
        self._add(*[embed_of(each) for each in found])

    def _add(self, *parts: dict[str, Any]) -> None:
        run = self._run
        for part in parts:
            self._added += 1
            if self._added > MOST_PARTS:
                return
            run.builder.parts.append(part)
            run.tell({"type": "part", "part": len(run.builder.parts) - 1, "value": dict(part)})

    def _notify(self, data: Mapping[str, Any]) -> None:
        level = data.get("type")
        event = {
            "type": "notification",
            "level": level if level in _LEVELS else "info",
            "text": _words(data.get("content")),
        }
        self._tabs.publish(self._run.user_id, event)


def set_text(run: Run, text: str) -> None:
    """Makes `text` all that an answer says; what it thought, and what was added to it, stay."""
    parts = run.builder.parts
    where = [index for index, part in enumerate(parts) if part["type"] == "text"]
    place = where[0] if where else len(parts)
    parts[:] = [
        *parts[:place],
        {"type": "text", "text": text},
        *[p for p in parts[place:] if p["type"] != "text"],
    ]
    tell_all(run)


def tell_all(run: Run) -> None:
    """All parts anew, for whoever watches."""
    run.tell({"type": "replace", "parts": [dict(part) for part in run.builder.parts]})


def embed_of(text: str) -> dict[str, Any]:
    """A page to show in a frame: an address, or HTML."""
    return {"type": "embed", "url" if text.startswith(("http://", "https://")) else "html": text}


def _status(data: Mapping[str, Any]) -> dict[str, Any]:
    more = {name: data[name] for name in ("action", "query", "urls", "count") if name in data}
    return {
        "type": "status",
        "description": _words(data.get("description")),
        "done": data.get("done") is not False,
        "hidden": bool(data.get("hidden")),
        **more,
    }


def _source(data: Mapping[str, Any]) -> dict[str, Any]:
    source = data.get("source")
    source = source if isinstance(source, Mapping) else {}
    documents, metadata = data.get("document"), data.get("metadata")
    return {
        "type": "source",
        "name": _words(source.get("name") or data.get("name") or data.get("type") or "source"),
        "url": _words(source.get("url") or source.get("id")),
        "document": documents if isinstance(documents, list) else [],
        "metadata": metadata if isinstance(metadata, list) else [],
    }


def _file(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "file",
        "file_id": _words(data.get("id")) or None,
        "name": _words(data.get("name") or data.get("filename") or "file"),
        "url": _words(data.get("url")) or None,
        "media_type": _words(data.get("content_type") or data.get("type")),
    }


def _objects(found: Any) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _error_of(data: Mapping[str, Any]) -> str:
    error = data.get("error")
    if isinstance(error, Mapping):
        error = error.get("content") or error.get("message") or error.get("detail")
    return _words(error) or "A function reports an error."


def _words(value: Any) -> str:
    return "" if value is None else str(value)[:_LONGEST]
