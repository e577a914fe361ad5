"""What can be set about the workspace, and where a value is from: environment, then database, then default.

Names are Open WebUI's where the meaning is the same. A field is a setting by its metadata: whoever needs a
new one adds a field, and the environment, the page and the checks follow.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pagoda.workspace.providers.environment import FixedConnection, fixed_connections
from pagoda.workspace.setting_kinds import (
    CHOICE,
    DURATION,
    LANGUAGE,
    MEGABYTES,
    NAMES,
    NUMBER,
    PERMISSIONS,
    SWITCH,
    TEXT,
    Kind,
)

SIGNUPS = ("open", "approval", "invitation", "closed")
_log = logging.getLogger(__name__)


def _setting(variable: str, kind: Kind, default: Any = None, *, page: bool = True) -> Any:
    """page: False for what the environment alone sets."""
    metadata = {"variable": variable, "kind": kind, "default": default, "page": page}
    return field(default_factory=lambda: default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """name: shown in the page. locale: "en", "zh" or None for the browser's. enable_signup, default_role: who
    may make an account, and whether it waits ("pending") or is a user at once. invitations: whether
    administrators invite. default_models: chosen for a new chat. permissions: what everybody may, over
    DEFAULT_PERMISSIONS. session_seconds: a sign-in lasts so long. auth: False is one user without signing
    in. title_generation and the like: what a model makes without being asked, by task_model or the chat's
    own. database_url: None for SQLite in the data folder. secret_key: what saved secrets are sealed with;
    None for a key file in the data folder. admin_email, admin_password, admin_name: of the administrator
    that is made where nobody has an account, instead of by the first visitor. private_connections: whether
    users' own connections may call private networks. upload_megabytes: of one file. storage_megabytes: of
    all files of one user, 0 for no limit. audit_days: how long what administrators did is kept.
    functions_execute: whether plugin functions may run scripts in the page. answer_tokens, answer_minutes:
    of the longest answer in a chat; None: as far as the context goes, and as long as it takes.
    answers_at_once: of one user. safe_mode: no plugin function is loaded. hosts: further names of this
    server, for a house without sign-in (hosts.py). connections: those of the environment. locked: variables
    that it sets.
    """

    name: str = _setting("WEBUI_NAME", TEXT, "Pagoda")
    locale: str | None = _setting("DEFAULT_LOCALE", LANGUAGE)
    enable_signup: bool = _setting("ENABLE_SIGNUP", SWITCH, True)
    default_role: str = _setting("DEFAULT_USER_ROLE", CHOICE("pending", "user"), "pending")
    invitations: bool = _setting("ENABLE_INVITATIONS", SWITCH, True)
    default_models: tuple[str, ...] = _setting("DEFAULT_MODELS", NAMES, ())
    permissions: Mapping[str, bool] = _setting("USER_PERMISSIONS", PERMISSIONS, {})
    session_seconds: int = _setting("JWT_EXPIRES_IN", DURATION, 30 * 86_400)
    task_model: str = _setting("TASK_MODEL", TEXT, "")
    title_generation: bool = _setting("ENABLE_TITLE_GENERATION", SWITCH, False)
    tags_generation: bool = _setting("ENABLE_TAGS_GENERATION", SWITCH, False)
    follow_up_generation: bool = _setting("ENABLE_FOLLOW_UP_GENERATION", SWITCH, False)
    autocomplete_generation: bool = _setting("ENABLE_AUTOCOMPLETE_GENERATION", SWITCH, False)
    auth: bool = _setting("WEBUI_AUTH", SWITCH, True, page=False)
    database_url: str | None = _setting("DATABASE_URL", TEXT, page=False)
    secret_key: str | None = _setting("WEBUI_SECRET_KEY", TEXT, page=False)
    admin_email: str = _setting("WEBUI_ADMIN_EMAIL", TEXT, "", page=False)
    admin_password: str = _setting("WEBUI_ADMIN_PASSWORD", TEXT, "", page=False)
    admin_name: str = _setting("WEBUI_ADMIN_NAME", TEXT, "Admin", page=False)
    private_connections: bool = _setting("ENABLE_PRIVATE_CONNECTIONS", SWITCH, False, page=False)
    upload_megabytes: int = _setting("RAG_FILE_MAX_SIZE", MEGABYTES, 50, page=False)
    storage_megabytes: int = _setting("PAGODA_USER_STORAGE", NUMBER(0, 10_000_000), 0)
    audit_days: int = _setting("PAGODA_AUDIT_DAYS", NUMBER(1, 36_500), 400)
    functions_execute: bool = _setting("ENABLE_FUNCTIONS_EXECUTE", SWITCH, False)
    answer_tokens: int | None = _setting("PAGODA_MAX_ANSWER_TOKENS", NUMBER(1, 10_000_000))
    answer_minutes: float | None = _setting("PAGODA_MAX_ANSWER_MINUTES", NUMBER(0.1, 1440, whole=False))
    answers_at_once: int = _setting("PAGODA_MAX_ANSWERS_AT_ONCE", NUMBER(1, 1000), 16)
    safe_mode: bool = _setting("PAGODA_SAFE_MODE", SWITCH, False, page=False)
    hosts: tuple[str, ...] = _setting("PAGODA_HOSTS", NAMES, (), page=False)
    connections: tuple[FixedConnection, ...] = ()
    locked: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> WorkspaceSettings:
        """An empty variable counts as not set; one with a value that makes no sense costs a warning."""
        values: dict[str, Any] = {}
        locked = set()
        for name, setting in SETTINGS.items():
            text = environment.get(setting.variable, "").strip()
            if not text:
                continue
            try:
                values[name] = setting.kind.from_text(text)
            except ValueError as error:
                value = f"={text[:100]}" if setting.page else ""  # others may be secret
                _log.warning("%s%s is ignored: %s", setting.variable, value, error)
            else:
                locked.add(setting.variable)
        return cls(**values, connections=fixed_connections(environment), locked=frozenset(locked))

    @property
    def signup(self) -> str:
        """One of SIGNUPS."""
        if self.enable_signup:
            return "open" if self.default_role == "user" else "approval"
        return "invitation" if self.invitations else "closed"

    def changed(self, values: Mapping[str, Any]) -> WorkspaceSettings:
        """With other values, by the fields' names."""
        return dataclasses.replace(self, **values)


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """A field that is a setting. variable: its name in the environment and in the page."""

    name: str
    variable: str
    kind: Kind
    page: bool
    default: Any


#: by the names of the fields
SETTINGS: Mapping[str, SettingInfo] = {
    each.name: SettingInfo(each.name, **each.metadata)
    for each in dataclasses.fields(WorkspaceSettings)
    if each.metadata
}
