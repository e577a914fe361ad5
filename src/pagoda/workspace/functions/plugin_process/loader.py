"""From the text of a function to its module, its class and what can be told about it."""

from __future__ import annotations

import inspect
import sys
import traceback
import types
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pagoda.workspace.functions.frontmatter import manifest_of

KINDS = ("Pipe", "Filter", "Action")  #: the first one that a module has is what it is
HOOKS = {"filter": ("inlet", "stream", "outlet"), "pipe": ("pipe",), "action": ("action",)}
_MOVED = {f"from {name}": f"from open_webui.{name}" for name in ("utils", "apps", "main", "config")}


class LoadError(Exception):
    """A function that does not load. line: in its text, counted from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Loaded:
    """A function in this process. instance: shared by all of its calls."""

    id: str
    digest: str
    kind: str
    module: types.ModuleType
    instance: Any
    manifest: dict[str, str]
    path: Path


def load(function_id: str, content: str, digest: str, folder: Path) -> Loaded:
    """Runs a function's text as a module and makes its one instance. Raises LoadError."""
    for old, new in _MOVED.items():
        content = content.replace(old, new)
    name = f"function_{function_id}_{uuid.uuid4().hex}"
    path = folder / f"{name}.py"
    path.write_text(content, "utf-8")
    module = types.ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # before it runs: pydantic and dataclasses look their module up
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)  # noqa: S102
        kind = next((each for each in KINDS if hasattr(module, each)), None)
        if kind is None:
            raise LoadError(f"It has no class {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
        instance = getattr(module, kind)()
    except LoadError:
        sys.modules.pop(name, None)
        raise
    except SyntaxError as error:
        sys.modules.pop(name, None)
        raise LoadError(f"{type(error).__name__}: {error.msg}", error.lineno) from error
    except BaseException as error:
        sys.modules.pop(name, None)
        raise LoadError(told(error), line_of(error, path)) from error
    sys.modules[f"function_{function_id}"] = module
    return Loaded(function_id, digest, kind.lower(), module, instance, manifest_of(content), path)


def told(error: BaseException) -> str:
    """An exception in one line, its type first where the text alone says little."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def line_of(error: BaseException, path: Path) -> int | None:
    """The last line of the function's own text that an exception came through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return frames[-1].lineno if frames else None


def describe(function: Loaded) -> dict[str, Any]:
    """What the server has to know of a function without asking again."""
    instance = function.instance
    hooks = [name for name in HOOKS[function.kind] if callable(getattr(instance, name, None))]
    if not hooks:
        raise LoadError(f"Its class {function.kind.title()} has none of: {', '.join(HOOKS[function.kind])}.")
    handles = getattr(instance, "file_handler", getattr(function.module, "file_handler", False))
    return {
        "type": function.kind,
        "manifest": function.manifest,
        "hooks": hooks,
        "toggle": bool(getattr(instance, "toggle", False)),
        "icon": _icon(function),
        "file_handler": bool(handles),
        "many": callable(getattr(instance, "pipes", None))
        or isinstance(getattr(instance, "pipes", None), list),
        "prefix": _text(getattr(instance, "name", "")) if function.kind == "pipe" else "",
        "actions": _actions(instance),
        "priority": _priority(instance),
        "valves": _schema(instance, "Valves"),
        "user_valves": _schema(instance, "UserValves"),
    }


def schema(instance: Any, name: str, user: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """The JSON schema of a nested model, with options that a class method gives filled in."""
    found = _schema(instance, name)
    if found is None:
        return None
    model = getattr(instance, name)
    for entry in found.get("properties", {}).values():
        extra = entry.get("input")
        if isinstance(extra, dict) and isinstance(extra.get("options"), str):
            entry["input"] = {**extra, "options": _options(model, extra["options"], user)}
    return found


def _schema(instance: Any, name: str) -> dict[str, Any] | None:
    model = getattr(instance, name, None)
    return None if model is None else model.model_json_schema()


def _options(model: Any, name: str, user: dict[str, Any] | None) -> list[Any]:
    method = getattr(model, name, None)
    if not callable(method):
        return []
    wanted = inspect.signature(method).parameters
    given = {key: user for key in ("__user__", "user") if key in wanted}
    found = method(**given)
    return list(found) if isinstance(found, list | tuple) else []


def _icon(function: Loaded) -> str:
    instance = function.instance
    for value in (
        function.manifest.get("icon_url"),
        getattr(instance, "icon_url", None),
        getattr(instance, "icon", None),
    ):
        if isinstance(value, str) and value:
            return value
    return ""


def _actions(instance: Any) -> list[dict[str, str]]:
    listed = getattr(instance, "actions", None)
    if not isinstance(listed, list):
        return []
    names = ("id", "name", "icon_url")
    return [
        {name: _text(each.get(name)) for name in names}
        for each in listed
        if isinstance(each, dict) and each.get("id")
    ]


def _priority(instance: Any) -> int:
    found = getattr(getattr(instance, "valves", None), "priority", 0)
    return found if isinstance(found, int) else 0


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
