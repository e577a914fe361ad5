"""Somebody who is signed in, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: what everybody may unless an administrator says otherwise; groups add to it, nothing takes away
DEFAULT_PERMISSIONS: Mapping[str, bool] = {
    "chat.several_models": True,
    "chat.params": True,
    "chat.share": True,
    "chat.temporary": True,
    "chat.import": True,
    "files.upload": True,
    "functions.use": True,
    "presets.create": True,
    "prompts.share": False,
    "connections.own": False,
    "keys.create": True,
}


@dataclass(frozen=True, slots=True)
class Principal:
    """A user at the moment of a request. role: "admin", "user" or "pending". password_expired: nothing is
    served before it has been changed.
    """

    id: str
    email: str
    name: str
    role: str
    settings: Mapping[str, Any]
    groups: frozenset[str]
    permissions: Mapping[str, bool]
    session_id: str | None = None
    password_expired: bool = False

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    def may(self, permission: str) -> bool:
        """Administrators may do everything."""
        return self.is_admin or self.permissions.get(permission, False)

    def shown(self) -> dict[str, Any]:
        """What the page gets about the one who is signed in."""
        return {
            "id": self.id,
            "name": self.name,
            "email": self.email,
            "role": self.role,
            "settings": dict(self.settings),
            "permissions": {name: self.may(name) for name in DEFAULT_PERMISSIONS},
            "groups": sorted(self.groups),
            "password_expired": self.password_expired,
        }
