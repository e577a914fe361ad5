"""A request object for functions that ask for one: it has the shape, and none of the user's credentials."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pagoda.workspace.functions.messages import Call


class Settings(SimpleNamespace):
    """`app.state.config`: a setting that is not here is None, as one that is not set."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def request_of(call: Call) -> Any:
    """A Starlette request; fastapi is imported with the first one."""
    from fastapi import FastAPI, Request

    app = FastAPI()
    app.state.config = Settings()
    model = call.arguments.get("__model__")
    app.state.MODELS = {model["id"]: model} if isinstance(model, dict) and "id" in model else {}
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/api/chat/completions",
        "query_string": b"",
        "headers": [],
        "client": None,
        "server": ("localhost", 80),
        "scheme": "http",
        "app": app,
        "state": {"metadata": call.arguments.get("__metadata__")},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    return Request(scope, receive)
