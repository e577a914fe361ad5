"""Large files of Hugging Face's cache: fetched so that a download that ends early can be gone on with.

huggingface_hub throws an unfinished file away. Here its bytes gather beside their place in the cache, under
the checksum that the hub tells; huggingface_hub then finds the file there and does the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pagoda.hub.download import Target, download
from pagoda.hub.home import exclusive, make_folder
from pagoda.hub.progress import ProgressReporter, SilentProgress

LARGE_BYTES = 4 << 20  #: smaller ones come again in no time


@dataclass(frozen=True, slots=True)
class LargeFile:
    """Where a file is, its size in bytes and its SHA-256 (hexadecimal), its name in the cache too."""

    url: str
    size: int
    sha256: str


def fetch_large(
    repo: Path, files: Sequence[LargeFile], environ: Mapping[str, str], progress: ProgressReporter
) -> None:
    """Fetches what is not there into a repository's folder of the cache; how much has come shows on the disk.

    Raises SourceError, DiskFullError.
    """
    blobs = repo / "blobs"
    token = environ.get("HF_TOKEN", "").strip()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for file in files:
        target = Target(blobs / file.sha256, file.size, file.sha256)
        if target.path.exists():
            continue
        make_folder(blobs)

        def say_waiting(name: str = repo.name) -> None:
            progress.message(f"Another process fetches {name}; waiting for it.")

        with exclusive(repo.parent / ".locks" / repo.name / f"{file.sha256}.part.lock", say_waiting):
            if not target.path.exists():
                download(file.url, target, SilentProgress(), headers)
