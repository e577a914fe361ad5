"""The models on this disk that Pagoda keeps: what there is, and how one is removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pagoda.hub.catalog import CATALOG, CatalogEntry
from pagoda.hub.errors import HubError
from pagoda.hub.home import models_dir, pagoda_home
from pagoda.hub.hub_cache import HubName, cache_folder, cached_revisions, repo_folder

Source = Literal["catalog", "folder", "hub"]


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model that is whole on this disk.

    id: what it is called here. reference, revision: what `resolve` takes for it. source: of the catalog, a
    file that somebody put into the folder of models, or Hugging Face's cache. size: bytes on disk.
    """

    id: str
    reference: str
    path: Path
    source: Source
    size: int
    revision: str | None = None


def stored_models(
    environ: Mapping[str, str] | None = None, catalog: Sequence[CatalogEntry] = CATALOG
) -> list[StoredModel]:
    """Of the catalog, then others in its folder, then Hugging Face's cache. Reads the disk's folders."""
    env = os.environ if environ is None else environ
    folder = models_dir(pagoda_home(env))
    found = [
        StoredModel(entry.name, entry.name, entry.path_in(folder), "catalog", entry.size)
        for entry in catalog
        if entry.is_present(folder)
    ]
    known = {entry.file for entry in catalog}
    for path in sorted(folder.glob("*.gguf")):
        if path.name not in known and path.is_file():
            found.append(StoredModel(path.name, str(path), path, "folder", path.stat().st_size))
    for name, revision, path in cached_revisions(env):
        is_main = revision == "main"
        model_id = name if is_main else f"{name}@{revision}"
        size = sum(file.stat().st_size for file in _files(path))
        found.append(StoredModel(model_id, name, path, "hub", size, None if is_main else revision))
    return found


def remove_stored(model: StoredModel, environ: Mapping[str, str] | None = None) -> None:
    """Deletes the files of a model, and nothing that another one shares with it or that lies elsewhere: of a
    link the link alone goes. Raises HubError.
    """
    env = os.environ if environ is None else environ
    try:
        if model.source == "hub":
            _remove_cached(model, env)
        else:
            _remove_kept(model, models_dir(pagoda_home(env)))
    except OSError as error:
        raise HubError(f"{model.id} cannot be removed: {error.strerror or error}") from error


def _remove_kept(model: StoredModel, folder: Path) -> None:
    path = model.path
    if path.parent != folder:
        raise HubError(f"{path} does not lie in {folder}, so it is not removed")
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.with_name(path.name + ".part").unlink(missing_ok=True)


def _remove_cached(model: StoredModel, environ: Mapping[str, str]) -> None:
    name = HubName.parse(model.reference)
    if name is None:
        raise HubError(f"{model.reference} is not the name of a model in Hugging Face's cache")
    cache = cache_folder(environ)
    repo = repo_folder(cache, name.repo)
    snapshots = repo / "snapshots"
    if not model.path.is_relative_to(snapshots):
        raise HubError(f"{model.path} does not lie in {snapshots}, so it is not removed")
    blobs = set()
    for file in _files(model.path):
        target = file.resolve()
        file.unlink()
        if file != target and target.is_relative_to(cache.resolve()):
            blobs.add(target)
    still_used = {link.resolve() for link in cache.glob("models--*/snapshots/**/*") if link.is_symlink()}
    for blob in blobs - still_used:
        blob.unlink(missing_ok=True)
    for folder in sorted(snapshots.rglob("*"), reverse=True):
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
    if not any(snapshots.iterdir()):
        shutil.rmtree(repo)


def _files(path: Path) -> list[Path]:
    """A model's own files: GGUF files beside the weights of a folder are models of their own."""
    if not path.is_dir():
        return [path]
    return list(_files_below(path))


def _files_below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix.lower() != ".gguf":
            yield path
