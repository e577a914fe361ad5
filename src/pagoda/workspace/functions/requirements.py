"""Packages that functions ask for: installed on an administrator's word, into a folder of their own."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from pagoda.workspace.errors import WorkspaceError

_SECONDS = 600.0
_LONGEST_OUTPUT = 100_000  #: characters; the end of it is shown
_OPTION = re.compile(r"^\s*-")
#: what pip needs to know of the machine; the server's secrets are not among it
_KEPT = re.compile(
    r"(PATH|HOME|LANG|LC_.*|TMPDIR|PIP_.*|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|.*_proxy)", re.I
)


def packages_of(manifest: Mapping[str, str]) -> list[str]:
    """What a frontmatter's `requirements` names. Raises WorkspaceError for what is no package."""
    asked = str(manifest.get("requirements") or "")
    packages = [each.strip() for each in asked.split(",") if each.strip()]
    if any(_OPTION.match(each) for each in packages):
        raise WorkspaceError(400, "The function's requirements are not names of packages.")
    return packages


async def install(packages: list[str], target: Path) -> str:
    """Installs packages, with all that they need, into a folder; gives pip's words. Pagoda's own environment
    stays as it is, and where both have a package its own is the one that is imported. Raises WorkspaceError.
    """
    environment = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
    environment |= _where_pip_is()
    command = [sys.executable, "-m", "pip", "install", "--no-input", "--no-color", "--upgrade"]
    command += ["--disable-pip-version-check", "--target", str(target), "--", *packages]
    target.mkdir(parents=True, exist_ok=True)
    try:
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            env=environment,
            cwd=target,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkspaceError(504, "Installing took more than ten minutes and was ended.") from error
    output = done.stdout[-_LONGEST_OUTPUT:].strip()
    if done.returncode != 0:
        lines = output.splitlines() or ["pip said nothing"]
        faults = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        raise WorkspaceError(400, f"The packages could not be installed: {(faults or lines)[-1]}")
    return output


def _where_pip_is() -> dict[str, str]:
    """Nothing where pip is installed beside the server; else the place of the one that came with Python."""
    if importlib.util.find_spec("pip") is not None:
        return {}
    found = importlib.util.find_spec("ensurepip")
    bundled = Path(found.origin).parent / "_bundled" if found is not None and found.origin else None
    wheels = sorted(bundled.glob("pip-*.whl")) if bundled is not None else []
    if not wheels:
        raise WorkspaceError(409, "pip is needed to install packages, and this Python has none.")
    return {"PYTHONPATH": str(wheels[-1])}
