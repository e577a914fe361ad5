"""Layers around the server that its operator brings: ASGI classes, or functions as FastAPI takes them."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware


class MiddlewareError(ValueError):
    """A layer that cannot be used; the message is one line."""


def load_middleware(name: str) -> Any:
    """The class or coroutine function that `name` ("package.module.Name") means. Raises MiddlewareError."""
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise MiddlewareError(f"--middleware {name} cannot be imported: {error}") from error
    if not (inspect.isclass(found) or inspect.iscoroutinefunction(found)):
        raise MiddlewareError(f"--middleware {name} is neither a class nor an async function")
    return found


def add_middleware(app: FastAPI, name: str) -> None:
    """Puts a layer around what `app` has so far. Raises MiddlewareError."""
    found = load_middleware(name)
    if inspect.iscoroutinefunction(found):
        app.add_middleware(BaseHTTPMiddleware, dispatch=found)
    else:
        app.add_middleware(found)
