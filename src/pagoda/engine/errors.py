"""What can go wrong between an engine and its client. Every message is one line."""

from __future__ import annotations


class EngineStartError(RuntimeError):
    """The engine cannot start."""


class EngineDeadError(RuntimeError):
    """The engine has stopped for good."""


class RequestFailedError(RuntimeError):
    """The engine could not finish a request."""
