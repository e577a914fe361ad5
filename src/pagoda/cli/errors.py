"""Which errors are the user's to act on."""

from __future__ import annotations

import sys


class UsageError(ValueError):
    """What was asked for cannot be done; the message is one line: what is wrong and what to do."""


class WrongUsageError(ValueError):
    """The command line itself is wrong; the message is one line, and help is named after it."""


# Modules whose errors carry a line for the user; one that was never imported cannot have raised any.
_USER_ERRORS = (
    ("pagoda.hub.errors", "HubError"),
    ("pagoda.weights.checkpoint", "CheckpointError"),
    ("pagoda.engine.params", "ParameterError"),
    ("pagoda.api.user_middleware", "MiddlewareError"),
    ("pagoda.engine.async_llm", "EngineStartError"),
    ("pagoda.engine.async_llm", "EngineDeadError"),
    ("pagoda.engine.async_llm", "PromptError"),
    ("pagoda.engine.async_llm", "RequestFailedError"),
    ("pagoda.text.chat_template", "TemplateError"),
    ("pagoda.workspace.errors", "WorkspaceError"),
    ("pagoda.workspace.storage.database", "DatabaseError"),
)


def is_user_error(error: BaseException) -> bool:
    """Whether the message of `error` is one line for the user and its traceback is of no use to them."""
    if isinstance(error, UsageError):
        return True
    for module, name in _USER_ERRORS:
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and isinstance(error, kind):
            return True
    return False
