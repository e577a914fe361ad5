"""The file of requests: on this disk, or fetched first."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pagoda.cli.errors import UsageError


@contextmanager
def local_input(name: str) -> Iterator[Path]:
    """The file `name` means; one at an http address is fetched and removed again. Raises UsageError."""
    if not name.startswith(("http://", "https://")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UsageError(f"there is no file {path} with requests")
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="pagoda-batch-") as folder:
        yield _fetch(name, Path(folder) / "input.jsonl")


def _fetch(url: str, path: Path) -> Path:
    import httpx

    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=60) as response, path.open("wb") as file:
            response.raise_for_status()
            for part in response.iter_bytes():
                file.write(part)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UsageError(f"{url} cannot be fetched: {str(error).splitlines()[0] or error!r}") from error
    return path


def requests_in(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers from 1. Raises UsageError for what is not text."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
