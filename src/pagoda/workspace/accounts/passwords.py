"""Passwords: Argon2id (RFC 9106), off the event loop. The library is imported for the first password."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 8, 512


class Passwords:
    """Hashes and checks. A guess for an account that is not there costs the same time as any other.

    hasher: how dear a guess is; the library's default follows RFC 9106.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._given = hasher
        self._nobody: str | None = None

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return self._given or PasswordHasher()

    async def hash(self, password: str) -> str:
        return await asyncio.to_thread(lambda: self._hasher.hash(password))

    async def matches(self, known: str | None, password: str) -> bool:
        """False, after as long a time, where there is no hash."""
        right = await asyncio.to_thread(self._verify, known, password)
        return right and known is not None

    def _verify(self, known: str | None, password: str) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError

        if known is None:
            self._nobody = self._nobody or self._hasher.hash("nobody has this password")
            known = self._nobody
        try:
            return self._hasher.verify(known, password)
        except (Argon2Error, InvalidHashError):
            return False
