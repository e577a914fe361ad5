"""The real `pagoda` command as a process, away from the developer's own settings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PAGODA = [sys.executable, "-m", "pagoda.cli.main"]
_LEFT_OUT = ("PAGODA_", "HF_", "VLLM_", "XDG_")


def environment(home: Path, **more: str) -> dict[str, str]:
    """The variables of a user with an empty data folder and without a way to Hugging Face."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    own = {"PAGODA_HOME": str(home), "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1", "NO_PROXY": "*"}
    return kept | own | {"NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "100"} | more


def pagoda(home: Path, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [*PAGODA, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=environment(home, **more),
        check=False,
        timeout=120,
    )


def one_line(ended: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line on standard error of a command that failed as a user's mistake should."""
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    # A slow machine tells how far loading is.
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("Loading ")]
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("pagoda: ")
    return lines[0]
