"""Models by their name on Hugging Face, through huggingface_hub and into its own cache.

HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean there. Only what the
engine reads is fetched: safetensors, configuration and tokenizer, or one GGUF file.
"""

from __future__ import annotations

import fnmatch
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pagoda.hub.endpoint import hub_endpoint, hub_is_offline
from pagoda.hub.errors import DiskFullError, HubError, RefusedError, SourceError
from pagoda.hub.hub_cache import (
    ADAPTER_FILES,
    HubName,
    cache_folder,
    find_cached,
    find_cached_adapter,
    quant_tag,
    repo_folder,
)
from pagoda.hub.large_files import LARGE_BYTES, LargeFile, fetch_large
from pagoda.hub.network import probe
from pagoda.hub.progress import ProgressReporter, format_bytes

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
)
POLL_SECONDS = 0.2
INFO_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a name stands for: how it is found whole in the cache, and which of its files are fetched (with
    their sizes in bytes).
    """

    find: Callable[[HubName, Mapping[str, str], str], Path | None]
    choose: Callable[[HubName, ModelInfo], dict[str, int]]


def obtain_from_hub(
    name: HubName,
    progress: ProgressReporter,
    *,
    offline: bool = False,
    refresh: bool = False,
    revision: str = "main",
    environ: Mapping[str, str] | None = None,
    wanted: Wanted | None = None,
) -> Path:
    """The folder or GGUF file of `name`: from the cache, or fetched (and resumed) when it is not whole there.

    wanted: a model where nothing else is said.

    A model that is in the cache causes no call to the network unless `refresh` asks for a newer one. Raises
    HubError with one line.
    """
    env = os.environ if environ is None else environ
    wanted = wanted or MODEL
    cached = wanted.find(name, env, revision)
    if cached is not None and not refresh:
        return cached
    if offline or hub_is_offline(env):
        if cached is not None:
            return cached
        why = "HF_HUB_OFFLINE is set" if hub_is_offline(env) else "the network is not to be used"
        raise HubError(
            f"{name.repo} is not whole on this disk ({cache_folder(env)}) and {why}",
            code="hub_not_whole",
            values={"model": name.repo},
        )
    endpoint = hub_endpoint(env)
    reason = probe(endpoint)
    if reason is not None:
        if cached is not None:
            progress.message(f"{endpoint} cannot be reached ({reason}); using the files on this disk.")
            return cached
        raise HubError(
            f"{name.repo} cannot be fetched from {endpoint}: {reason}; "
            "set HF_ENDPOINT to a mirror you can reach, or give a local folder or GGUF file",
            code="hub_unreachable",
            values={"model": name.repo, "endpoint": endpoint, "reason": reason},
        )
    return _download(name, revision, endpoint, env, progress, wanted)


def _download(
    name: HubName,
    revision: str,
    endpoint: str,
    environ: Mapping[str, str],
    progress: ProgressReporter,
    wanted: Wanted,
) -> Path:
    if "HF_ENDPOINT" in environ:
        # The Xet protocol goes past mirrors to Hugging Face's own servers.
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # the reporter draws
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi(endpoint=endpoint).model_info(
            name.repo, revision=revision, timeout=INFO_SECONDS, files_metadata=True
        )
        files = wanted.choose(name, info)
        cache = cache_folder(environ)
        _require_space(cache, sum(files.values()))
        with _watched(name, cache, sum(files.values()), progress):
            fetch_large(repo_folder(cache, name.repo), _large(info, files, endpoint), environ, progress)
            snapshot = Path(
                snapshot_download(
                    name.repo,
                    revision=revision,
                    cache_dir=cache,
                    allow_patterns=[_literal(file) for file in files],
                    endpoint=endpoint,
                )
            )
    except (GatedRepoError, RefusedError) as error:
        raise HubError(
            f"{name.repo} asks you to accept its terms: do so at {endpoint}/{name.repo} and set HF_TOKEN",
            code="hub_gated",
            values={"model": name.repo, "address": f"{endpoint}/{name.repo}"},
        ) from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"{endpoint} has no model {name.repo}, or it is private and HF_TOKEN does not open it",
            code="hub_unknown",
            values={"model": name.repo, "endpoint": endpoint},
        ) from error
    except RevisionNotFoundError as error:
        raise HubError(
            f"{name.repo} has no revision {revision!r} at {endpoint}",
            code="hub_revision",
            values={"model": name.repo, "revision": revision},
        ) from error
    except HfHubHTTPError as error:
        raise _not_fetched(name, endpoint, _first_line(error)) from error
    except SourceError as error:
        raise _not_fetched(name, endpoint, str(error)) from error
    except OSError as error:
        reason = _first_line(error)
        raise HubError(
            f"{name.repo} cannot be stored: {reason}",
            code="hub_not_stored",
            values={"model": name.repo, "reason": reason},
        ) from error
    return snapshot / next(iter(files)) if name.wants_gguf else snapshot


def _not_fetched(name: HubName, endpoint: str, reason: str) -> HubError:
    return HubError(
        f"{name.repo} cannot be fetched from {endpoint}: {reason}",
        code="hub_not_fetched",
        values={"model": name.repo, "endpoint": endpoint, "reason": reason},
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _choose(name: HubName, info: ModelInfo) -> dict[str, int]:
    """The files to fetch with their sizes in bytes (0 where the hub does not say)."""
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
    gguf = sorted(file for file in sizes if file.endswith(".gguf"))
    tags = [tag for tag in map(quant_tag, gguf) if tag]
    if name.wants_gguf:
        picked = name.pick_gguf(gguf)
        if picked is None:
            known = f"it has {', '.join(tags or gguf)}" if gguf else "it has no GGUF files"
            wanted = name.tag or name.file or ""
            raise HubError(
                f"{name.repo} has no file for {wanted}; {known}",
                code="hub_no_file",
                values={"model": name.repo, "wanted": wanted, "known": ", ".join(tags or gguf) or "-"},
            )
        return {picked: sizes[picked]}
    chosen = {file: size for file, size in sizes.items() if any(fnmatch.fnmatch(file, p) for p in FILES)}
    if not any(file.endswith(".safetensors") for file in chosen):
        if gguf:
            example = f"{name.repo}:{tags[0]}" if tags else f"{name.repo}/{gguf[0]}"
            known = ", ".join(tags or gguf)
            raise HubError(
                f"{name.repo} holds GGUF files; name one, such as {example} (of {known})",
                code="hub_which_file",
                values={"model": name.repo, "example": example, "known": known},
            )
        raise HubError(
            f"{name.repo} has no safetensors and no GGUF files; other formats are not supported",
            code="hub_format",
            values={"model": name.repo},
        )
    for needed in ("config.json", "tokenizer.json"):
        if needed not in chosen:
            raise HubError(
                f"{name.repo} has no {needed}, which a model needs to be served",
                code="hub_file_missing",
                values={"model": name.repo, "file": needed},
            )
    return chosen


def _choose_adapter(name: HubName, info: ModelInfo) -> dict[str, int]:
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
    for needed in ADAPTER_FILES:
        if needed not in sizes:
            raise HubError(f"{name.repo} has no {needed}, which an adapter needs")
    return {file: sizes[file] for file in ADAPTER_FILES}


def _large(info: ModelInfo, files: Mapping[str, int], endpoint: str) -> list[LargeFile]:
    """Those of the files whose checksum the hub tells: they are fetched so that they can be resumed."""
    found = []
    for sibling in info.siblings or []:
        if sibling.lfs is not None and files.get(sibling.rfilename, 0) >= LARGE_BYTES:
            path = quote(sibling.rfilename)
            url = f"{endpoint}/{info.id}/resolve/{quote(info.sha or 'main', safe='')}/{path}"
            found.append(LargeFile(url, sibling.lfs.size, sibling.lfs.sha256))
    return found


MODEL = Wanted(find_cached, _choose)
ADAPTER = Wanted(find_cached_adapter, _choose_adapter)


def _literal(file: str) -> str:
    """A pattern that matches this file alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in file)


def _require_space(cache: Path, needed: int) -> None:
    folder = next(parent for parent in (cache, *cache.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFullError(
            f"the download needs {format_bytes(needed)} in {folder} and {format_bytes(free)} are free; "
            "free some space or set HF_HOME to a folder on a larger disk",
            code="hub_disk",
            values={"needed": format_bytes(needed), "free": format_bytes(free), "variable": "HF_HOME"},
        )


@contextmanager
def _watched(name: HubName, cache: Path, total: int, progress: ProgressReporter) -> Iterator[None]:
    """Reports how the cache grows meanwhile; that holds for every protocol and version of huggingface_hub."""
    folders = (repo_folder(cache, name.repo), cache / "blobs")
    # What an earlier attempt has left of a file counts as done.
    before = sum(_disk_bytes(folder, but=".part") for folder in folders)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            progress.update(min(sum(map(_disk_bytes, folders)) - before, total))

    progress.start(f"Downloading {name.repo}", total)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        progress.finish()


def _disk_bytes(folder: Path, but: str | None = None) -> int:
    """Bytes on disk of the files under `folder`, links left out; 0 for a folder that is not there.

    but: an ending of names that do not count.
    """
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if but is not None and name.endswith(but):
                continue
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue  # renamed between the listing and the look
    return total
