"""What a server with its workspace has imported when it serves and its page was loaded: nothing heavy."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from tests.helpers.models import tiny_gguf

#: each takes time or memory that a server at rest has no use for
HEAVY = (
    "torch",
    "transformers",
    "pandas",
    "scipy",
    "alembic",
    "mako",
    "argon2",
    "pypdf",
    "docx",
    "lxml",
    "PIL",
    "rich",
    "typer",
    "tqdm",
    "huggingface_hub",
    "asyncpg",
)
#: the command itself, which tells at its end what it imported
RUNNER = """
import atexit, json, sys
from pathlib import Path

def tell():
    Path(sys.argv[1]).write_text(json.dumps(sorted(name.partition(".")[0] for name in sys.modules)))

if __name__ == "__main__":
    from pagoda.cli.main import run
    atexit.register(tell)
    sys.exit(run(sys.argv[2:]))
"""


def test_nothing_heavy_is_imported_to_serve_the_page(tmp_path: Path) -> None:
    told = tmp_path / "modules.json"
    runner = tmp_path / "runner.py"
    runner.write_text(RUNNER, "utf-8")
    model = tiny_gguf(tmp_path / "tiny.gguf")
    # The second start is the one that counts: the first makes the database.
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, str(runner), str(told), "serve", str(model), "--port", "0"],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PAGODA_HOME": str(tmp_path / "home"), "NO_COLOR": "1"},
        )
        try:
            assert process.stderr is not None
            lines = (line.strip() for line in process.stderr)
            address = next(found[0] for line in lines if (found := re.search(r"http://[\d.]+:\d+$", line)))
            page = httpx.get(f"{address}/").text
            for file in re.findall(r'(?:src|href)="\./([^"]+)"', page):
                httpx.get(f"{address}/{file}").raise_for_status()
            httpx.get(f"{address}/api/config").raise_for_status()
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    imported = set(json.loads(told.read_text("utf-8")))
    assert {"pagoda", "fastapi", "sqlalchemy"} <= imported, "it is the server's own list"
    assert imported.isdisjoint(HEAVY)
