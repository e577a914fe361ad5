"""A PostgreSQL server of the tests' own: on a Unix socket in a temporary folder, forgetful and so fast."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OPTIONS = "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c jit=off"


def find_programs() -> Path | None:
    """The folder of initdb and pg_ctl; None where PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3])
    return found[-1].parent if found else None


@contextmanager
def running(programs: Path) -> Iterator[Path]:
    """The folder of the socket. PostgreSQL refuses to run as root, who lends it to the user postgres."""
    user = "postgres" if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as name:  # sockets have short paths
        folder = Path(name)
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", str(folder / "data"), *arguments]
            done = subprocess.run(command, user=user, cwd="/", capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{program} failed: {done.stderr or done.stdout}")

        run("initdb", "-U", "pagoda", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        log = str(folder / "log")
        run("pg_ctl", "-w", "-t", "300", "-l", log, "-o", f"{_OPTIONS} -k {folder}", "start")
        try:
            yield folder
        finally:
            run("pg_ctl", "-m", "immediate", "stop")


def address(folder: Path, database: str) -> str:
    """As DATABASE_URL has it."""
    return f"postgresql://pagoda@/{database}?host={folder}"
