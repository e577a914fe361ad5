"""What is on the disk, and that removing a model removes that model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.hub.test_store import entry_of

from pagoda.hub.catalog import CatalogFile
from pagoda.hub.errors import HubError
from pagoda.hub.local import StoredModel, remove_stored, stored_models
from pagoda.hub.resolve import pullable_name

FIRST, SECOND = "1" * 40, "2" * 40
FOLDER = {"config.json": b"{}", "tokenizer.json": b"{ }", "model.safetensors": b"weights"}


class Disk:
    """A data folder and Hugging Face's cache in a folder."""

    def __init__(self, folder: Path) -> None:
        self.environ = {"PAGODA_HOME": str(folder / "home"), "HF_HOME": str(folder / "hf")}
        self.models = folder / "home" / "models"
        self.models.mkdir(parents=True)
        self.cache = folder / "hf" / "hub"

    def snapshot(self, repo: str, commit: str, files: dict[str, bytes], ref: str | None = "main") -> Path:
        """As huggingface_hub leaves it: links to blobs by what they hold."""
        base = self.cache / ("models--" + repo.replace("/", "--"))
        snapshot = base / "snapshots" / commit
        for name, content in files.items():
            blob = base / "blobs" / content.hex()
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(content)
            link = snapshot / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path("../" * (2 + name.count("/"))) / "blobs" / blob.name)
        if ref is not None:
            (base / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
            (base / "refs" / ref).write_text(commit)
        return snapshot

    def stored(self) -> dict[str, StoredModel]:
        return {model.id: model for model in stored_models(self.environ, (entry_of(),))}

    def remove(self, model_id: str) -> None:
        remove_stored(self.stored()[model_id], self.environ)

    def blobs(self, repo: str) -> set[bytes]:
        blobs = self.cache / ("models--" + repo.replace("/", "--")) / "blobs"
        return {path.read_bytes() for path in blobs.iterdir()}


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_every_kind_is_found_with_its_size(disk: Disk) -> None:
    entry = entry_of()
    entry.path_in(disk.models).write_bytes(b"x" * entry.size)
    (disk.models / "own.gguf").write_bytes(b"GGUF")
    disk.snapshot("org/whole", FIRST, FOLDER)
    disk.snapshot("org/gguf", FIRST, {"a-Q8_0.gguf": b"eight", "in/b-Q4_0.gguf": b"four"})
    found = disk.stored()
    assert {name: (model.source, model.size) for name, model in found.items()} == {
        entry.name: ("catalog", entry.size),
        "own.gguf": ("folder", 4),
        "org/gguf/a-Q8_0.gguf": ("hub", 5),
        "org/gguf/in/b-Q4_0.gguf": ("hub", 4),
        "org/whole": ("hub", sum(map(len, FOLDER.values()))),
    }


def test_one_file_of_several_goes_alone(disk: Disk) -> None:
    disk.snapshot("org/gguf", FIRST, {"a-Q8_0.gguf": b"eight", "b-Q4_0.gguf": b"four", "same.gguf": b"eight"})
    disk.remove("org/gguf/a-Q8_0.gguf")
    assert disk.blobs("org/gguf") == {b"eight", b"four"}
    disk.remove("org/gguf/same.gguf")
    assert disk.blobs("org/gguf") == {b"four"}
    disk.remove("org/gguf/b-Q4_0.gguf")
    assert list(disk.cache.iterdir()) == []


def test_a_revision_leaves_what_another_shares_with_it(disk: Disk) -> None:
    disk.snapshot("org/whole", FIRST, FOLDER, ref="v1")
    disk.snapshot("org/whole", SECOND, FOLDER | {"model.safetensors": b"better"})
    found = disk.stored()
    assert {name: model.revision for name, model in found.items()} == {
        "org/whole": None,
        "org/whole@v1": "v1",
    }
    disk.remove("org/whole@v1")
    assert disk.blobs("org/whole") == {b"{}", b"{ }", b"better"}
    assert list(disk.stored()) == ["org/whole"]


def test_gguf_files_beside_a_folders_weights_stay(disk: Disk) -> None:
    disk.snapshot("org/both", FIRST, FOLDER | {"a-Q8_0.gguf": b"eight"})
    disk.remove("org/both")
    assert list(disk.stored()) == ["org/both/a-Q8_0.gguf"]


def test_links_to_elsewhere_go_and_what_they_lead_to_stays(disk: Disk, tmp_path: Path) -> None:
    outside = tmp_path / "mine.gguf"
    outside.write_bytes(b"mine")
    (disk.models / "link.gguf").symlink_to(outside)
    folder = disk.snapshot("org/gguf", FIRST, {})
    folder.mkdir(parents=True)
    (folder / "c-Q8_0.gguf").symlink_to(outside)
    for name in ("link.gguf", "org/gguf/c-Q8_0.gguf"):
        disk.remove(name)
    assert outside.read_bytes() == b"mine"
    assert disk.stored() == {}


def test_a_folder_of_the_catalog_that_is_a_link(disk: Disk, tmp_path: Path) -> None:
    entry = replace(entry_of(), file="folder", files=(CatalogFile(4, "", "w.bin"),))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "w.bin").write_bytes(b"1234")
    (disk.models / "folder").symlink_to(outside)
    [model] = stored_models(disk.environ, (entry,))
    remove_stored(model, disk.environ)
    assert (outside / "w.bin").exists()
    assert list(disk.models.iterdir()) == []


def test_nothing_outside_the_folders_is_removed(disk: Disk, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    for source, reference in (("folder", str(own)), ("catalog", "tiny:1m"), ("hub", "org/name")):
        with pytest.raises(HubError, match="not removed"):
            remove_stored(StoredModel("own", reference, own, source, 4), disk.environ)  # type: ignore[arg-type]
    assert own.exists()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Qwen/Qwen3-0.6B", ("Qwen/Qwen3-0.6B", None)),
        ("org/name:Q8_0", ("org/name:Q8_0", None)),
        ("https://huggingface.co/Qwen/Qwen3-0.6B", ("Qwen/Qwen3-0.6B", None)),
        ("https://huggingface.co/Qwen/Qwen3-0.6B/tree/v1?x=1#top", ("Qwen/Qwen3-0.6B", "v1")),
        ("https://mirror.test/org/name/blob/main/a/b-Q8_0.gguf", ("org/name/a/b-Q8_0.gguf", None)),
        ("hf.co/org/name:Q4_K_M", ("org/name:Q4_K_M", None)),
        ("TINY", ("tiny:1m", None)),
    ],
)
def test_names_and_addresses_to_pull(typed: str, meant: tuple[str, str | None]) -> None:
    environ = {"HF_ENDPOINT": "https://mirror.test/"}
    assert pullable_name(typed, catalog=(entry_of(),), environ=environ) == meant


@pytest.mark.parametrize(
    ("typed", "revision"),
    [
        ("/etc/passwd", None),
        ("./x", None),
        ("~", None),
        ("https://elsewhere.test/org/name", None),
        ("one", None),
        ("", None),
        ("org/name", "../../etc"),
        ("org/name", "a/../b"),
        ("tiny:1m", "v1"),
    ],
)
def test_what_is_no_name_to_pull(typed: str, revision: str | None) -> None:
    with pytest.raises(HubError) as raised:
        pullable_name(typed, revision, catalog=(entry_of(),), environ={})
    assert "\n" not in str(raised.value)
