"""A stand-in for `loguru`: its `logger` over the standard library's."""

from __future__ import annotations

import logging
from typing import Any

_NAMES = {"trace": 5, "debug": 10, "info": 20, "success": 25, "warning": 30, "error": 40, "critical": 50}


class Logger:
    """Messages are formatted with braces, as loguru's are."""

    def __init__(self, extra: dict[str, Any] | None = None) -> None:
        self._extra = extra or {}
        self._log = logging.getLogger("functions")

    def __getattr__(self, name: str) -> Any:
        if name not in _NAMES:
            raise AttributeError(name)
        return lambda message, *arguments, **named: self.log(_NAMES[name], message, *arguments, **named)

    def log(self, level: int | str, message: Any, *arguments: Any, **named: Any) -> None:
        number = _NAMES.get(level.lower(), logging.INFO) if isinstance(level, str) else level
        text = str(message)
        self._log.log(number, "%s", text.format(*arguments, **named) if arguments or named else text)

    def exception(self, message: Any, *arguments: Any, **named: Any) -> None:
        text = str(message)
        self._log.exception("%s", text.format(*arguments, **named) if arguments or named else text)

    def bind(self, **extra: Any) -> Logger:
        return Logger({**self._extra, **extra})

    def opt(self, **_options: Any) -> Logger:
        return self

    def add(self, *_arguments: Any, **_options: Any) -> int:
        """Logs go to the server's; there is no other place."""
        return 0

    def remove(self, *_arguments: Any) -> None:
        """Nothing was added."""


logger = Logger()
