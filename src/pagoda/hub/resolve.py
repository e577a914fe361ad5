"""From what a user typed to a model on this disk."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pagoda.hub.catalog import CATALOG, CatalogEntry, find_entry, near_names
from pagoda.hub.endpoint import hub_endpoint, split_address
from pagoda.hub.errors import HubError
from pagoda.hub.home import models_dir, pagoda_home
from pagoda.hub.hub_cache import ADAPTER_FILES, HubName, find_cached, find_cached_adapter, is_adapter
from pagoda.hub.progress import ProgressReporter

_REVISION = re.compile(r"[\w][\w./-]*")
FETCHED = "a catalog name (see `pagoda list`) or a Hugging Face name such as Qwen/Qwen3-0.6B"
KINDS = f"a local folder, a GGUF file, {FETCHED}"


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on this disk: a GGUF file or a folder, the name to serve it by, and where it came from.

    generation_config: what the catalog advises for sampling (see `CatalogEntry`).
    """

    path: Path
    name: str
    source: str  #: "local", "catalog" or "hub"
    generation_config: Mapping[str, float] = field(default_factory=dict)


def resolve(
    name: str,
    *,
    progress: ProgressReporter,
    offline: bool = False,
    refresh: bool = False,
    revision: str | None = None,
    catalog: Sequence[CatalogEntry] = CATALOG,
    environ: Mapping[str, str] | None = None,
) -> LocalModel:
    """The model called `name`, fetched first when it is not here. Raises HubError with one line.

    A path that exists is taken as it is and never touches the network. refresh: check what is here again
    (checksum for the catalog, newest revision for the hub); without it a model that is here needs no network.
    revision: a branch, tag or commit on the hub, where the model comes from there. The name may be the
    address of the model's page there.
    The code that fetches is imported only where something must be fetched, for a fast start.
    """
    env = os.environ if environ is None else environ
    name, in_address = split_address(name, hub_endpoint(env))
    revision = revision or in_address
    entry = find_entry(name, catalog)
    path = Path(name).expanduser()
    if path.exists() and (entry is None or (path / "config.json").exists()):
        return LocalModel(_check_local(path), name, "local")
    if entry is not None:
        folder = models_dir(pagoda_home(env))
        if entry.is_present(folder) and not refresh:
            return LocalModel(entry.path_in(folder), entry.name, "catalog", entry.generation_config)
        from pagoda.hub.store import obtain

        found = obtain(entry, folder, progress, offline=offline, verify=refresh, environ=env)
        return LocalModel(found, entry.name, "catalog", entry.generation_config)
    hub_name = HubName.parse(name) if _may_be_hub_name(name) else None
    if hub_name is None:
        raise HubError(_unknown(name, path, catalog))
    cached = None if refresh else find_cached(hub_name, env, revision or "main")
    if cached is not None:
        return LocalModel(cached, name, "hub")
    from pagoda.hub.huggingface import obtain_from_hub

    found = obtain_from_hub(
        hub_name, progress, offline=offline, refresh=refresh, revision=revision or "main", environ=env
    )
    return LocalModel(found, name, "hub")


def pullable_name(
    name: str,
    revision: str | None = None,
    *,
    catalog: Sequence[CatalogEntry] = CATALOG,
    environ: Mapping[str, str] | None = None,
) -> tuple[str, str | None]:
    """The name and revision to fetch a model by, of what a user typed; nobody is asked whether it exists.

    Raises HubError for what can be no model's name, the path of a local one among it.
    """
    bare, in_address = split_address(name, hub_endpoint(os.environ if environ is None else environ))
    revision = revision or in_address
    entry = find_entry(bare, catalog)
    if entry is not None:
        if revision is not None:
            raise HubError(
                f"{entry.name} is of the catalog, which has one revision of it",
                code="hub_catalog_revision",
                values={"model": entry.name},
            )
        return entry.name, None
    if not _may_be_hub_name(bare):
        raise HubError(f"{bare} is a path; give {FETCHED}", code="hub_path", values={"name": bare})
    if HubName.parse(bare) is None:
        message = _unknown(bare, Path(bare), catalog, FETCHED)
        raise HubError(message, code="hub_name", values={"name": bare})
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise HubError(
            f"{revision!r} is no branch, tag or commit",
            code="hub_revision_form",
            values={"revision": revision},
        )
    return bare, revision


def resolve_adapter(
    name: str,
    *,
    progress: ProgressReporter,
    offline: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Path:
    """The folder of an adapter (LoRA, as PEFT saves it): a path, or a Hugging Face name that is fetched first
    when it is not here. Raises HubError with one line.
    """
    path = Path(name).expanduser()
    if path.exists():
        if not is_adapter(path):
            raise HubError(f"{path} is not an adapter: it needs {' and '.join(ADAPTER_FILES)}")
        return path
    hub_name = HubName.parse(name) if _may_be_hub_name(name) else None
    if hub_name is None or hub_name.wants_gguf:
        raise HubError(f"there is no folder {path}")
    env = os.environ if environ is None else environ
    cached = find_cached_adapter(hub_name, env)
    if cached is not None:
        return cached
    from pagoda.hub.huggingface import ADAPTER, obtain_from_hub

    return obtain_from_hub(hub_name, progress, offline=offline, environ=env, wanted=ADAPTER)


def _may_be_hub_name(name: str) -> bool:
    return not name.startswith((".", "/", "~"))


def _check_local(path: Path) -> Path:
    if path.is_file():
        return path
    if (path / "config.json").is_file():
        return path
    files = sorted(path.glob("*.gguf")) if path.is_dir() else []
    if files:
        raise HubError(f"{path} holds GGUF files and no config.json; name the file, for example {files[0]}")
    raise HubError(f"{path} is not a model: a folder needs config.json, tokenizer.json and *.safetensors")


def _unknown(name: str, path: Path, catalog: Sequence[CatalogEntry], kinds: str = KINDS) -> str:
    if not _may_be_hub_name(name) or name.endswith(".gguf"):
        return f"there is no file or folder {path}"
    near = near_names(name, catalog)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"unknown model {name!r}: {hint}Give {kinds}"
