from __future__ import annotations

import hashlib
import threading
import zipfile
from pathlib import Path

import pytest
from tests.hub.conftest import Recorder
from tests.hub.servers import Behaviour, file_server
from tests.hub.test_package_index import CONTENT, MEMBER, make_wheel

from pagoda.hub.catalog import CATALOG, CatalogEntry, CatalogFile, HubFile, PackageMember, find_entry
from pagoda.hub.errors import HubError
from pagoda.hub.progress import SilentProgress
from pagoda.hub.store import obtain

URL_PATH = "/org/repo/resolve/main/model.gguf"


def entry_of(wheel_size: int = 3_000_000) -> CatalogEntry:
    return CatalogEntry(
        name="tiny:1m",
        aliases=("tiny",),
        description="a test",
        licence="Apache-2.0",
        file="model.gguf",
        files=(CatalogFile(len(CONTENT), hashlib.sha256(CONTENT).hexdigest()),),
        sources=(
            HubFile("org/repo", "model.gguf"),
            PackageMember("tiny-weights", "1.0", MEMBER, wheel_size),
        ),
    )


@pytest.fixture(autouse=True)
def _index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))


def test_the_first_source_that_works_is_enough(tmp_path: Path) -> None:
    with file_server(Behaviour({URL_PATH: CONTENT})) as server:
        environ = {"HF_ENDPOINT": server.url + "/", "HF_TOKEN": "secret"}
        path = obtain(entry_of(), tmp_path / "models", SilentProgress(), environ=environ)
        assert server.behaviour.authorizations == ["Bearer secret"]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (Behaviour({}), "404"),
        (Behaviour({URL_PATH: bytes(len(CONTENT))}), "checksum"),
        (Behaviour({URL_PATH: CONTENT}, cuts=[10, 0, 0, 0]), ""),
    ],
    ids=["missing", "wrong-bytes", "broken"],
)
def test_the_package_index_follows(
    tmp_path: Path, recorder: Recorder, behaviour: Behaviour, reason: str
) -> None:
    make_wheel(tmp_path / "index")
    with file_server(behaviour) as server:
        path = obtain(entry_of(), tmp_path / "models", recorder, environ={"HF_ENDPOINT": server.url})
    assert path.read_bytes() == CONTENT
    assert len(recorder.messages) == 1
    assert reason in recorder.messages[0]
    assert "package index" in recorder.messages[0]
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"model.gguf", ".locks"}


def test_nobody_at_the_endpoint(tmp_path: Path, recorder: Recorder) -> None:
    make_wheel(tmp_path / "index")
    with file_server(Behaviour()) as server:
        gone = server.url
    path = obtain(entry_of(), tmp_path / "models", recorder, environ={"HF_ENDPOINT": gone})
    assert path.read_bytes() == CONTENT
    assert "Connection refused" in recorder.messages[0]


def test_a_hub_that_is_not_to_be_used_is_skipped(tmp_path: Path, recorder: Recorder) -> None:
    make_wheel(tmp_path / "index")
    with file_server(Behaviour({URL_PATH: CONTENT})) as server:
        environ = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "1"}
        obtain(entry_of(), tmp_path / "models", recorder, environ=environ)
        assert server.behaviour.requests == []
    assert "HF_HUB_OFFLINE" in recorder.messages[0]


def test_when_all_fail_one_line_says_what_was_tried(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    with file_server(Behaviour()) as server, pytest.raises(HubError) as caught:
        obtain(entry_of(), tmp_path / "models", SilentProgress(), environ={"HF_ENDPOINT": server.url})
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in ("404", "tiny-weights", "HF_ENDPOINT", "model.gguf"))


def test_a_file_that_is_here_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(CONTENT)
    with file_server(Behaviour()) as server:
        environ = {"HF_ENDPOINT": server.url}
        for offline in (False, True):
            assert obtain(entry_of(), tmp_path, SilentProgress(), offline=offline, environ=environ)
        assert obtain(entry_of(), tmp_path, SilentProgress(), verify=True, environ=environ)
        assert server.behaviour.requests == []


def test_offline_without_the_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="network"):
        obtain(entry_of(), tmp_path, SilentProgress(), offline=True, environ={})


def test_a_damaged_file_is_fetched_again_when_it_is_verified(tmp_path: Path, recorder: Recorder) -> None:
    (tmp_path / "model.gguf").write_bytes(bytes(len(CONTENT)))
    with file_server(Behaviour({URL_PATH: CONTENT})) as server:
        obtain(entry_of(), tmp_path, recorder, verify=True, environ={"HF_ENDPOINT": server.url})
    assert (tmp_path / "model.gguf").read_bytes() == CONTENT
    assert "damaged" in recorder.messages[0]


PARTS = {"config.json": b"{}", "1_Pooling/config.json": b"[]", "model.safetensors": CONTENT}


def folder_entry() -> CatalogEntry:
    files = tuple(
        CatalogFile(len(data), hashlib.sha256(data).hexdigest(), path) for path, data in PARTS.items()
    )
    hub, package = (
        HubFile("org/repo", ""),
        PackageMember("tiny-weights", "1.0", "tiny_weights/model", 3_000_000),
    )
    return CatalogEntry("tiny:f", (), "a test", "Apache-2.0", "tiny-folder", files, (hub, package))


def make_folder_wheel(folder: Path) -> None:
    wheel = make_wheel(folder)
    with zipfile.ZipFile(wheel, "a") as archive:
        for path, data in PARTS.items():
            archive.writestr(f"tiny_weights/model/{path}", data)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in PARTS}


def test_a_model_of_several_files_comes_from_the_hub(tmp_path: Path) -> None:
    served = {f"/org/repo/resolve/main/{path}": data for path, data in PARTS.items()}
    with file_server(Behaviour(served)) as server:
        environ = {"HF_ENDPOINT": server.url}
        path = obtain(folder_entry(), tmp_path / "models", SilentProgress(), environ=environ)
        assert contents(path) == PARTS
        assert len(server.behaviour.requests) == len(PARTS)
        assert obtain(folder_entry(), tmp_path / "models", SilentProgress(), environ=environ) == path
        assert len(server.behaviour.requests) == len(PARTS)


def test_what_one_source_lacks_comes_from_the_next(tmp_path: Path, recorder: Recorder) -> None:
    make_folder_wheel(tmp_path / "index")
    with file_server(Behaviour({"/org/repo/resolve/main/config.json": PARTS["config.json"]})) as server:
        path = obtain(folder_entry(), tmp_path / "models", recorder, environ={"HF_ENDPOINT": server.url})
    assert contents(path) == PARTS
    assert {entry.name for entry in path.iterdir()} == {"config.json", "1_Pooling", "model.safetensors"}
    assert "404" in recorder.messages[0]
    unpacked = [description for description, _ in recorder.tasks if description.startswith("Unpacking")]
    assert unpacked == ["Unpacking config.json", "Unpacking model.safetensors"]


def test_only_the_damaged_file_of_a_folder_is_fetched_again(tmp_path: Path, recorder: Recorder) -> None:
    served = {f"/org/repo/resolve/main/{path}": data for path, data in PARTS.items()}
    with file_server(Behaviour(served)) as server:
        environ = {"HF_ENDPOINT": server.url}
        path = obtain(folder_entry(), tmp_path / "models", SilentProgress(), environ=environ)
        (path / "1_Pooling" / "config.json").write_bytes(b"{]")
        server.behaviour.requests.clear()
        obtain(folder_entry(), tmp_path / "models", recorder, verify=True, environ=environ)
        assert [asked for asked, _ in server.behaviour.requests] == [
            "/org/repo/resolve/main/1_Pooling/config.json"
        ]
    assert contents(path) == PARTS


def test_two_at_once_fetch_once(tmp_path: Path) -> None:
    second_waits = threading.Event()

    class Waiting(SilentProgress):
        def message(self, text: str) -> None:
            second_waits.set()

    class Holding(SilentProgress):
        """Inside the download of the first: lets the second come and wait."""

        def start(self, description: str, total: int | None) -> None:
            other.start()
            second_waits.wait(30)

    folder = tmp_path / "models"
    with file_server(Behaviour({URL_PATH: CONTENT})) as server:
        environ = {"HF_ENDPOINT": server.url}
        got: list[Path] = []
        other = threading.Thread(
            target=lambda: got.append(obtain(entry_of(), folder, Waiting(), environ=environ))
        )
        path = obtain(entry_of(), folder, Holding(), environ=environ)
        other.join(30)
        assert second_waits.is_set()
        assert got == [path]
        assert len(server.behaviour.requests) == 1


def test_a_folder_that_cannot_be_written_gives_one_line(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(HubError, match="PAGODA_HOME"):
        obtain(entry_of(), tmp_path / "models", SilentProgress(), environ={})


def test_the_catalog_is_sound() -> None:
    names = [name.casefold() for entry in CATALOG for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))
    for entry in CATALOG:
        assert all(len(bytes.fromhex(file.sha256)) == 32 and file.size > 0 for file in entry.files)
        assert len({file.path for file in entry.files}) == len(entry.files)
        assert entry.sources
        assert find_entry(entry.name.upper()) is entry
    assert find_entry("no such model") is None
