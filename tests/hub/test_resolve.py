from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.hub.servers import Behaviour, file_server
from tests.hub.test_package_index import CONTENT
from tests.hub.test_store import URL_PATH, entry_of

from pagoda.hub.errors import HubError
from pagoda.hub.network import probe
from pagoda.hub.progress import SilentProgress, format_bytes
from pagoda.hub.resolve import LocalModel, resolve


def find(name: str, home: Path, **environ: str) -> LocalModel:
    settings = {"PAGODA_HOME": str(home), "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1", **environ}
    return resolve(name, progress=SilentProgress(), catalog=(entry_of(),), environ=settings)


def test_a_local_file_and_a_local_folder(tmp_path: Path) -> None:
    file = tmp_path / "any.gguf"
    file.write_bytes(b"GGUF")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    for path in (file, folder):
        assert find(str(path), tmp_path) == LocalModel(path, str(path), "local")


def test_a_catalog_name_and_its_alias_in_any_case(tmp_path: Path) -> None:
    with file_server(Behaviour({URL_PATH: CONTENT})) as server:
        settings = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": ""}
        first = find("tiny:1m", tmp_path, **settings)
        second = find("TINY", tmp_path, **settings)
        assert len(server.behaviour.requests) == 1
    assert first == second == LocalModel(tmp_path / "models" / "model.gguf", "tiny:1m", "catalog")
    assert first.path.read_bytes() == CONTENT


def test_the_catalogs_advice_comes_with_the_model(tmp_path: Path) -> None:
    advice = {"temperature": 0.5}
    entry = replace(entry_of(), generation_config=advice)
    models = tmp_path / "models"
    models.mkdir()
    (models / "model.gguf").write_bytes(CONTENT)
    found = resolve(
        "tiny", progress=SilentProgress(), catalog=(entry,), environ={"PAGODA_HOME": str(tmp_path)}
    )
    assert found.generation_config == advice


def test_a_folder_by_chance_named_like_the_catalog_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    models = tmp_path / "models"
    models.mkdir()
    (models / "model.gguf").write_bytes(CONTENT)
    assert find("tiny", tmp_path).source == "catalog"
    (tmp_path / "tiny" / "config.json").write_text("{}")
    assert find("tiny", tmp_path).source == "local"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tinny", ["did you mean tiny:1m", "local folder", "Hugging Face"]),
        ("zzz", ["unknown model 'zzz'", "pagoda list"]),
        ("./zzz", ["no file or folder"]),
        ("/no/such/model.gguf", ["no file or folder /no/such/model.gguf"]),
        ("model.gguf", ["no file or folder"]),
        ("org/name", ["org/name", "HF_HUB_OFFLINE"]),
    ],
)
def test_what_cannot_be_found_says_why(tmp_path: Path, name: str, words: list[str]) -> None:
    with pytest.raises(HubError) as caught:
        find(name, tmp_path)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words), line


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    folder = tmp_path / "stuff"
    folder.mkdir()
    with pytest.raises(HubError, match=r"config\.json"):
        find(str(folder), tmp_path)
    (folder / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(HubError, match=r"x\.gguf"):
        find(str(folder), tmp_path)


def test_reachability() -> None:
    with file_server(Behaviour()) as server:
        url = server.url
        assert probe(url) is None
    assert "refused" in (probe(url) or "")
    assert "resolved" in (probe("http://no-such-host.invalid") or "")
    assert "not an address" in (probe("nonsense") or "")


def test_sizes_for_people() -> None:
    assert [format_bytes(count) for count in (0, 999, 98_362_432, 5 * 10**9, 3 * 10**12)] == [
        "0 bytes",
        "999 bytes",
        "98.4 MB",
        "5.0 GB",
        "3.00 TB",
    ]
