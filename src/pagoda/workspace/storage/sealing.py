"""Secrets at rest: AES-256-GCM (NIST SP 800-38D) with a key that lies beside the database or is given.

Whoever copies the database alone learns no connection's key and no password of a plugin's valves.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from pathlib import Path

from pagoda.workspace.storage.database import DatabaseError

KEY_FILE = "secret.key"
_KEY_BYTES, _NONCE_BYTES = 32, 12
_MARK = "v1:"  #: how the text is made; another way gets another mark
_SALT = b"pagoda workspace sealing"
_SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}  # 16 MiB and some 50 ms, once, and only where a secret is needed


class SealingError(ValueError):
    """A sealed text cannot be opened: another key, another purpose, or damage; one line for the user."""


class Sealer:
    """Seals and opens texts. secret: WEBUI_SECRET_KEY, or None for a key file in the data folder.

    The key is read, or made, when the first secret is met, and cryptography is imported then.
    """

    def __init__(self, data_dir: Path, secret: str | None = None) -> None:
        self._file = data_dir / KEY_FILE
        self._secret = secret or None
        self._key: bytes | None = None

    @property
    def key_file(self) -> Path | None:
        """What a backup has to hold beside the database; None where the key comes from the environment."""
        return None if self._secret is not None else self._file

    def seal(self, text: str, purpose: str) -> str:
        """A text for the database. It opens for the same purpose alone, such as "connection/ID"."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self._find_key()).encrypt(nonce, text.encode(), purpose.encode())
        return _MARK + base64.urlsafe_b64encode(nonce + sealed).decode()

    def unseal(self, sealed: str, purpose: str) -> str:
        """What was sealed. Raises SealingError."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            if not sealed.startswith(_MARK):
                raise ValueError("unknown mark")
            data = base64.urlsafe_b64decode(sealed.removeprefix(_MARK))
            opened = AESGCM(self._find_key()).decrypt(
                data[:_NONCE_BYTES], data[_NONCE_BYTES:], purpose.encode()
            )
            return opened.decode()
        except (InvalidTag, ValueError) as error:
            raise SealingError(
                "a saved secret does not open with this server's key; enter it again, or bring back "
                f"{'WEBUI_SECRET_KEY' if self._secret else KEY_FILE} as it was"
            ) from error

    def _find_key(self) -> bytes:
        if self._key is None:
            self._key = self._derived() if self._secret is not None else self._kept()
        return self._key

    def _derived(self) -> bytes:
        secret = (self._secret or "").encode("utf-8", "surrogateescape")
        return hashlib.scrypt(secret, salt=_SALT, dklen=_KEY_BYTES, **_SCRYPT)

    def _kept(self) -> bytes:
        try:
            return self._read()
        except FileNotFoundError:
            _write_new(self._file, secrets.token_bytes(_KEY_BYTES))
            return self._read()  # of whoever made it first

    def _read(self) -> bytes:
        text = self._file.read_text("ascii", "replace").strip()
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise DatabaseError(f"{self._file} is not a key of {_KEY_BYTES * 2} hexadecimal digits")
        return key


def _write_new(path: Path, key: bytes) -> None:
    """The whole key or nothing, for the owner alone; a file that is there meanwhile stays."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
