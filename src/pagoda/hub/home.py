"""The data folder: where models and the workspace live, and the locks that keep two processes apart."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pagoda.hub.errors import HubError


def pagoda_home(environ: Mapping[str, str] | None = None) -> Path:
    """$PAGODA_HOME, else $XDG_DATA_HOME/pagoda, else ~/.local/share/pagoda; not created here."""
    env = os.environ if environ is None else environ
    if env.get("PAGODA_HOME"):
        return Path(env["PAGODA_HOME"]).expanduser()
    if env.get("XDG_DATA_HOME"):
        return Path(env["XDG_DATA_HOME"]).expanduser() / "pagoda"
    return Path("~/.local/share/pagoda").expanduser()


def models_dir(home: Path) -> Path:
    """The folder of files fetched from the catalog."""
    return home / "models"


def make_folder(folder: Path) -> None:
    """Creates `folder` with its parents; HubError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HubError(
            f"cannot create {folder}: {error.strerror}; set PAGODA_HOME to a folder you can write to"
        ) from error


def _open_lock(path: Path) -> int:
    make_folder(path.parent)
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise HubError(
            f"cannot write to {path}: {error.strerror}; set PAGODA_HOME to a folder you can write to"
        ) from error


def _try_lock(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise HubError(
            f"cannot lock {path}: {error.strerror}; set PAGODA_HOME to a folder on a local disk"
        ) from error
    return True


@contextmanager
def exclusive(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds the lock file `path`; calls `on_wait` once before it waits for another process.

    The lock ends with the process that holds it, however that ends.
    """
    descriptor = _open_lock(path)
    try:
        if not _try_lock(descriptor, path):
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class DataFolderLock:
    """Says that a server uses the data folder, with its pid and address for whoever comes second.

    The kernel drops the lock when the process ends, so a crash leaves nothing to clean up.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "server.lock"
        self._descriptor: int | None = None

    def acquire(self, address: str) -> None:
        """Takes the lock; HubError that names the holder when another server has it."""
        descriptor = _open_lock(self.path)
        try:
            if not _try_lock(descriptor, self.path):
                raise HubError(
                    f"another pagoda ({self._holder(descriptor)}) uses the data folder {self.home}; "
                    "stop it, use its address, or set PAGODA_HOME to another folder"
                )
            self._write(descriptor, address)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def announce(self, address: str) -> None:
        """Replaces the address once it is known for certain."""
        if self._descriptor is None:
            raise RuntimeError("announce() needs the lock")
        self._write(self._descriptor, address)

    def release(self) -> None:
        """Gives the folder back; without effect when the lock is not held."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    @staticmethod
    def _write(descriptor: int, address: str) -> None:
        content = json.dumps({"pid": os.getpid(), "address": address}).encode()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, content, 0)

    @staticmethod
    def _holder(descriptor: int) -> str:
        try:
            holder = json.loads(os.pread(descriptor, 4096, 0))
            return f"pid {holder['pid']}, {holder['address']}"
        except (ValueError, KeyError, TypeError):
            return "it is just starting"  # it holds the lock and has not written its address yet
