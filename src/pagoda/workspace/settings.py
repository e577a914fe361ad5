"""How the workspace is set up. The environment's names are Open WebUI's where the meaning is the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pagoda.workspace.providers.environment import FixedConnection, fixed_connections

SIGNUPS = ("open", "approval", "invitation", "closed")
_CHINESE = frozenset(("cn", "zh", "zh-cn", "zh-hans", "zh-hans-cn", "chinese"))
_TRUE = frozenset(("1", "true", "yes", "on"))
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """name: shown in the page. locale: "en", "zh" or None for the browser's. signup: who may make an account.
    default_models: chosen for a new chat. database_url: None for SQLite in the data folder. secret_key: what
    saved secrets are sealed with; None for a key file in the data folder.
    """

    name: str = "Pagoda"
    locale: str | None = None
    signup: str = "approval"
    default_models: tuple[str, ...] = ()
    database_url: str | None = None
    secret_key: str | None = None
    private_connections: bool = False
    connections: tuple[FixedConnection, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> WorkspaceSettings:
        """Odd values cost a warning."""
        signup = "approval"
        if (open_ := environment.get("ENABLE_SIGNUP", "").strip().lower()) != "":
            role = environment.get("DEFAULT_USER_ROLE", "pending").strip().lower()
            signup = "closed" if open_ not in _TRUE else "open" if role in ("user", "admin") else "approval"
        return cls(
            name=environment.get("WEBUI_NAME", "").strip() or "Pagoda",
            locale=locale_of(environment.get("DEFAULT_LOCALE", "")),
            signup=signup,
            default_models=_names(environment.get("DEFAULT_MODELS", "")),
            database_url=environment.get("DATABASE_URL", "").strip() or None,
            secret_key=environment.get("WEBUI_SECRET_KEY") or None,
            private_connections=environment.get("ENABLE_PRIVATE_CONNECTIONS", "").strip().lower() in _TRUE,
            connections=fixed_connections(environment),
        )


def locale_of(name: str) -> str | None:
    """The page's name of a language; None, with a warning, for one that it does not speak."""
    wanted = name.strip().lower().replace("_", "-")
    if not wanted:
        return None
    if wanted in _CHINESE:
        return "zh"
    if wanted.partition("-")[0] == "en":
        return "en"
    _log.warning("DEFAULT_LOCALE=%s is not a language of the page; the browser's is taken", name)
    return None


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))
