"""One file over HTTP: resumed, verified, and in place only when it is whole and right."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pagoda.hub.errors import DiskFullError, RefusedError, SourceError
from pagoda.hub.progress import ProgressReporter, format_bytes

if TYPE_CHECKING:
    import httpx

CHUNK = 1 << 20
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
ATTEMPTS_WITHOUT_PROGRESS = 3
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Target:
    """A file to be: where, how long (bytes) and with which SHA-256 (hexadecimal)."""

    path: Path
    size: int
    sha256: str

    @property
    def part(self) -> Path:
        """Where the bytes gather until they are verified."""
        return self.path.with_name(self.path.name + ".part")


def require_space(folder: Path, needed: int) -> None:
    """Raises DiskFullError when `folder` has less than `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"the download needs {format_bytes(needed)} in {folder} and {format_bytes(free)} are free; "
            "free some space or set PAGODA_HOME to a folder on a larger disk",
            code="hub_disk",
            values={"needed": format_bytes(needed), "free": format_bytes(free), "variable": "PAGODA_HOME"},
        )


@contextmanager
def no_leftover_on_full_disk(target: Target) -> Iterator[None]:
    """Turns a full disk into one line and removes the part that was written: the space is free again."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        target.part.unlink(missing_ok=True)
        raise DiskFullError(
            f"the disk of {target.path.parent} is full ({error.strerror}); nothing is left of the download; "
            "free some space or set PAGODA_HOME to a folder on a larger disk",
            code="hub_disk_full",
        ) from error


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put_in_place(target: Target, digest: str) -> None:
    """Moves the flushed part to its name if size and SHA-256 are right, else deletes it: SourceError."""
    size = target.part.stat().st_size
    if size != target.size:
        target.part.unlink()
        raise SourceError(f"{target.path.name} has {size} bytes and should have {target.size}")
    if digest != target.sha256:
        target.part.unlink()
        raise SourceError(f"{target.path.name} has the wrong checksum (SHA-256 {digest[:12]}...)")
    os.replace(target.part, target.path)
    folder = os.open(target.path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name survives a power cut
    finally:
        os.close(folder)


def download(
    url: str, target: Target, progress: ProgressReporter, headers: Mapping[str, str] | None = None
) -> None:
    """Fetches `url` into `target`, going on where an earlier attempt stopped.

    A resumed file that turns out wrong is thrown away and fetched once more from its start. Raises
    SourceError (unreachable, refused, wrong bytes) or DiskFullError. A connection that breaks leaves the part
    for next time.
    """
    resumed = target.part.exists()
    try:
        _fetch(url, target, progress, headers or {})
    except _WrongBytesError:
        if not resumed:
            raise
        progress.message("The partial download was damaged; fetching it anew.")
        _fetch(url, target, progress, headers or {})


class _WrongBytesError(SourceError):
    """All bytes came, and they are not those of the target."""


def _fetch(url: str, target: Target, progress: ProgressReporter, headers: Mapping[str, str]) -> None:
    import httpx

    if target.part.exists() and target.part.stat().st_size > target.size:
        target.part.unlink()
    have = target.part.stat().st_size if target.part.exists() else 0
    require_space(target.path.parent, target.size - have)
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    progress.start(f"Downloading {target.path.name}", target.size)
    try:
        with httpx.Client(follow_redirects=True, timeout=timeout, headers=dict(headers)) as client:
            digest = _fetch_all(client, url, target, progress)
    except httpx.InvalidURL as error:
        raise SourceError(f"{url} is not an address: {error}") from error
    finally:
        progress.finish()
        if target.part.exists() and target.part.stat().st_size == 0:
            target.part.unlink()
    try:
        put_in_place(target, digest)
    except SourceError as error:
        raise _WrongBytesError(str(error)) from error


def _fetch_all(client: httpx.Client, url: str, target: Target, progress: ProgressReporter) -> str:
    """Fills the part; returns the SHA-256 of all of it."""
    import httpx

    failures = 0
    with no_leftover_on_full_disk(target), target.part.open("a+b") as part:
        part.seek(0)
        digest = hashlib.sha256()
        while chunk := part.read(CHUNK):
            digest.update(chunk)
        while part.tell() < target.size:
            before = part.tell()
            reason = "the server sent nothing"
            try:
                digest = _receive(client, url, target, part, digest, progress)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            part.flush()
            failures = 0 if part.tell() > before else failures + 1
            if failures >= ATTEMPTS_WITHOUT_PROGRESS:
                raise SourceError(reason)
        os.fsync(part.fileno())
    return digest.hexdigest()


def _receive(
    client: httpx.Client,
    url: str,
    target: Target,
    part: IO[bytes],
    digest: hashlib._Hash,
    progress: ProgressReporter,
) -> hashlib._Hash:
    """One request from where the part ends; returns the running digest, a new one if it starts over."""
    have = part.tell()
    asked = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=asked) as response:
        resumes = have and response.status_code == 206 and _range_start(response) == have
        if have and not resumes and (response.status_code in (206, 416) or response.is_success):
            part.seek(0)
            part.truncate()
            digest = hashlib.sha256()
            have = 0
            if response.status_code != 200:
                return digest  # the range was refused: ask again for the whole file
        if not response.is_success:
            answered = f"the server answered {response.status_code} {response.reason_phrase}".rstrip()
            raise RefusedError(answered) if response.status_code in (401, 403) else SourceError(answered)
        for chunk in response.iter_raw():  # as it comes: a fixed size would lose the rest of a broken stream
            if have + len(chunk) > target.size:
                raise _too_long(target)
            part.write(chunk)
            digest.update(chunk)
            have += len(chunk)
            progress.update(have)
    if have < target.size and response.status_code == 200 and "content-length" in response.headers:
        target.part.unlink()  # it ended in order, so this is all there is
        raise _WrongBytesError(f"{target.path.name} has {have} bytes and should have {target.size}")
    return digest


def _too_long(target: Target) -> SourceError:
    target.part.unlink()
    return _WrongBytesError(f"{target.path.name} is longer than {target.size} bytes")


def _range_start(response: httpx.Response) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
    return int(found.group(1)) if found else None
