"""Settings: those that functions read are not those of this server, so what is not here has no value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DATA_DIR = Path.cwd()
UPLOAD_DIR = DATA_DIR / "uploads"
CACHE_DIR = DATA_DIR / "cache"


class PersistentConfig:
    """A setting. value: None where there is none."""

    def __init__(self, name: str, value: Any = None) -> None:
        self.env_name = name
        self.value = value


def __getattr__(name: str) -> Any:
    if not name.isupper():
        raise AttributeError(name)
    return PersistentConfig(name)
