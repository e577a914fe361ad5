"""What a server of text does not import before it is ready: the time to its first answer is measured."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: each took from a twentieth to a third of a second when it was imported
HEAVY = ("numpy", "tokenizers", "typer", "rich", "httpx", "huggingface_hub", "yaml", "llguidance", "tqdm")


@pytest.mark.parametrize(
    "modules",
    [
        "pagoda.cli.main, pagoda.cli.serve, pagoda.cli.service, pagoda.cli.flags.meaning",
        "pagoda.cli.pool, pagoda.engine.async_llm, pagoda.api.server",
    ],
)
def test_nothing_heavy(modules: str) -> None:
    program = f"import sys, {modules}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []


def test_the_command_itself_imports_next_to_nothing() -> None:
    program = "import sys, pagoda.cli.main; print(*sorted(n for n in sys.modules if n.startswith('pagoda.')))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["pagoda.cli", "pagoda.cli.errors", "pagoda.cli.main"]
