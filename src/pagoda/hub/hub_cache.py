"""What Hugging Face's cache on this disk holds, read from its layout alone: no import and no network.

Layout: $HF_HUB_CACHE/models--ORG--NAME/refs/REVISION names a commit, snapshots/COMMIT/ holds its files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pagoda.hub.errors import HubError

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
QUANT_TAG = re.compile(r"(?:^|[-._])((?:I?Q\d|F16|BF16|F32|MXFP4)[A-Za-z0-9_]*)\.gguf$", re.IGNORECASE)
_HUB_NAME = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<tag>[\w.-]+)|/(?P<file>[\w./-]+\.gguf))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


@dataclass(frozen=True, slots=True)
class HubName:
    """ORG/NAME, alone or with one GGUF file: by tag (ORG/NAME:Q8_0) or by its name (ORG/NAME/file.gguf)."""

    repo: str
    tag: str | None = None
    file: str | None = None

    @classmethod
    def parse(cls, name: str) -> HubName | None:
        """None when `name` has another form."""
        found = _HUB_NAME.fullmatch(name)
        return cls(found["repo"], found["tag"], found["file"]) if found else None

    @property
    def wants_gguf(self) -> bool:
        return self.tag is not None or self.file is not None

    def pick_gguf(self, files: list[str]) -> str | None:
        """The file among `files` that this name means; HubError when a tag fits several or a split one."""
        if self.file is not None:
            return self.file if self.file in files else None
        tag = (self.tag or "").casefold()
        fitting = [file for file in files if tag == (quant_tag(file) or "").casefold()]
        if len(fitting) > 1:
            raise HubError(f"{self.repo} has several files for {self.tag}: name one of {', '.join(fitting)}")
        split = [file for file in files if _SPLIT.search(file) and tag in file.casefold()]
        if split and not fitting:
            raise HubError(f"{self.repo}:{self.tag} is split into {len(split)} files, which is not supported")
        return fitting[0] if fitting else None


def quant_tag(file: str) -> str | None:
    """Q8_0 for name-Q8_0.gguf; None where the name says nothing."""
    found = QUANT_TAG.search(file)
    return found.group(1) if found else None


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps its files: $HF_HUB_CACHE, $HF_HOME/hub or the cache of the user."""
    if environ.get("HF_HUB_CACHE"):
        return Path(environ["HF_HUB_CACHE"]).expanduser()
    if environ.get("HF_HOME"):
        return Path(environ["HF_HOME"]).expanduser() / "hub"
    cache = Path(environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "huggingface" / "hub"


def repo_folder(cache: Path, repo: str) -> Path:
    """Where the cache has a repository."""
    return cache / ("models--" + repo.replace("/", "--"))


def find_cached(name: HubName, environ: Mapping[str, str], revision: str = "main") -> Path | None:
    """The folder or GGUF file of `name` when all of it is in the cache, else None.

    revision: a branch, a tag, or a whole commit.
    """
    snapshot = _snapshot(name, environ, revision)
    if snapshot is None:
        return None
    if name.wants_gguf:
        files = [str(path.relative_to(snapshot)) for path in snapshot.rglob("*.gguf") if path.exists()]
        picked = name.pick_gguf(files)
        return snapshot / picked if picked else None
    return snapshot if is_complete_model(snapshot) else None


def _snapshot(name: HubName, environ: Mapping[str, str], revision: str) -> Path | None:
    base = repo_folder(cache_folder(environ), name.repo)
    try:
        commit = (base / "refs" / revision).read_text().strip()
    except OSError:
        if not _COMMIT.fullmatch(revision):
            return None
        commit = revision
    return base / "snapshots" / commit


def find_cached_adapter(name: HubName, environ: Mapping[str, str], revision: str = "main") -> Path | None:
    """The folder of an adapter when both of its files are in the cache, else None."""
    snapshot = _snapshot(name, environ, revision)
    return snapshot if snapshot is not None and is_adapter(snapshot) else None


def is_adapter(folder: Path) -> bool:
    """Whether a folder has what an adapter as PEFT saves it consists of."""
    return all((folder / file).is_file() for file in ADAPTER_FILES)


def is_complete_model(folder: Path) -> bool:
    """Whether a folder has a config, a tokenizer and every shard its index names."""
    if not (folder / "config.json").exists() or not (folder / "tokenizer.json").exists():
        return False
    index = folder / "model.safetensors.index.json"
    if index.exists():
        try:
            shards = set(json.loads(index.read_text())["weight_map"].values())
        except (ValueError, KeyError, AttributeError):
            return False
        return all((folder / shard).exists() for shard in shards)
    return any(path.exists() for path in folder.glob("*.safetensors"))


def cached_models(environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Every usable model in the cache, by its main revision: (name to serve it by, folder or file)."""
    for name, revision, path in cached_revisions(environ):
        if revision == "main":
            yield name, path


def cached_revisions(environ: Mapping[str, str]) -> Iterator[tuple[str, str, Path]]:
    """Every usable model in the cache: (name to serve it by, branch or tag, folder or file).

    Of revisions that are the same commit the first one, "main" before others.
    """
    for base in sorted(cache_folder(environ).glob("models--*--*")):
        repo = base.name.removeprefix("models--").replace("--", "/", 1)
        name = HubName.parse(repo)
        if name is None:
            continue
        for revision, commit in _revisions(base):
            whole = find_cached(name, environ, revision)
            if whole is not None:
                yield repo, revision, whole
            snapshot = base / "snapshots" / commit
            for path in sorted(snapshot.rglob("*.gguf")):
                if path.exists():
                    yield f"{repo}/{path.relative_to(snapshot)}", revision, path


def _revisions(base: Path) -> list[tuple[str, str]]:
    """Branches and tags of a repository's folder, with their commits."""
    refs = base / "refs"
    names = [str(path.relative_to(refs)) for path in refs.rglob("*") if path.is_file()]
    commits: dict[str, str] = {}
    for name in sorted(names, key=lambda name: (name != "main", name)):
        commits.setdefault((refs / name).read_text().strip(), name)
    # A commit that was asked for by its own name has no reference.
    for path in sorted((base / "snapshots").glob("*")):
        if _COMMIT.fullmatch(path.name):
            commits.setdefault(path.name, path.name)
    return [(name, commit) for commit, name in commits.items() if Path(commit).name == commit]
