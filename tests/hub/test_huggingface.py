from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.hub.conftest import Recorder
from tests.hub.fake_hub import FakeHub, fake_hub

from pagoda.hub.errors import HubError
from pagoda.hub.hub_cache import HubName, cached_models, find_cached, is_complete_model
from pagoda.hub.huggingface import obtain_from_hub
from pagoda.hub.progress import SilentProgress
from pagoda.hub.resolve import resolve, resolve_adapter

SHARDS = {
    "model-00001-of-00002.safetensors": b"first shard",
    "model-00002-of-00002.safetensors": b"second shard",
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    ).encode(),
}
FOLDER = {"config.json": b"{}", "tokenizer.json": b"{ }", "tokenizer_config.json": b"{  }", **SHARDS}
EXTRAS = {"pytorch_model.bin": b"pickles", "README.md": b"# hi", "onnx/model.onnx": b"o", "tf_model.h5": b"t"}
REPOS = {
    "org/whole": FOLDER | EXTRAS,
    "org/gguf": {"tiny-Q8_0.gguf": b"eight", "tiny.Q4_0.gguf": b"four", "tiny-f16.gguf": b"half"},
    "org/bin": {"config.json": b"{}", "pytorch_model.bin": b"pickles"},
    "org/adapter": {
        "adapter_config.json": b"{}",
        "adapter_model.safetensors": b"ab",
        "tokenizer.json": b"{}",
        "README.md": b"# hi",
    },
    "org/old": {"config.json": b"{}", "model.safetensors": b"w"},
}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HF_HOME": str(tmp_path / "hf")}


def fetch(hub: FakeHub, environ: dict[str, str], name: str, **options: bool) -> Path:
    parsed = HubName.parse(name)
    assert parsed is not None
    return obtain_from_hub(parsed, SilentProgress(), environ=environ | {"HF_ENDPOINT": hub.url}, **options)


def test_a_folder_comes_without_what_the_engine_does_not_read(environ: dict[str, str]) -> None:
    with fake_hub(FakeHub(REPOS)) as hub:
        folder = fetch(hub, environ, "org/whole")
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == FOLDER
        assert hub.downloaded() == sorted(FOLDER)


def test_what_is_here_needs_no_network(environ: dict[str, str]) -> None:
    with fake_hub(FakeHub(REPOS)) as hub:
        folder = fetch(hub, environ, "org/whole")
        hub.requests.clear()
        assert fetch(hub, environ, "org/whole") == folder
        assert fetch(hub, environ, "org/whole", offline=True) == folder
        assert hub.requests == []
    found = resolve("org/whole", progress=SilentProgress(), environ=environ)
    assert (found.path, found.name, found.source) == (folder, "org/whole", "hub")
    assert list(cached_models(environ)) == [("org/whole", folder)]


def test_an_unreachable_hub_leaves_the_files_that_are_here(
    environ: dict[str, str], recorder: Recorder
) -> None:
    name = HubName("org/whole")
    with fake_hub(FakeHub(REPOS)) as hub:
        gone = environ | {"HF_ENDPOINT": hub.url}
        folder = obtain_from_hub(name, SilentProgress(), environ=gone)
    assert obtain_from_hub(name, recorder, refresh=True, environ=gone) == folder
    assert "cannot be reached" in recorder.messages[0]
    with pytest.raises(HubError, match="HF_ENDPOINT"):
        obtain_from_hub(HubName("org/other"), SilentProgress(), environ=gone)


def test_a_folder_with_a_missing_shard_is_completed(environ: dict[str, str]) -> None:
    with fake_hub(FakeHub(REPOS)) as hub:
        folder = fetch(hub, environ, "org/whole")
        shard = folder / "model-00002-of-00002.safetensors"
        blob = shard.resolve()
        shard.unlink()
        blob.unlink()
        assert find_cached(HubName("org/whole"), environ) is None
        hub.requests.clear()
        assert fetch(hub, environ, "org/whole") == folder
        assert hub.downloaded() == [shard.name]
        assert is_complete_model(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [("org/gguf:Q8_0", b"eight"), ("org/gguf:q4_0", b"four"), ("org/gguf/tiny-f16.gguf", b"half")],
)
def test_one_gguf_file_by_tag_or_by_name(environ: dict[str, str], name: str, content: bytes) -> None:
    with fake_hub(FakeHub(REPOS)) as hub:
        path = fetch(hub, environ, name)
        assert path.read_bytes() == content
        assert len(hub.downloaded()) == 1
    assert resolve(name, progress=SilentProgress(), environ=environ).path == path
    listed = dict(cached_models(environ))
    assert list(listed.values()) == [path]
    assert resolve(next(iter(listed)), progress=SilentProgress(), environ=environ).path == path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("org/gguf", ["GGUF", "org/gguf:Q", "Q8_0"]),
        ("org/gguf:Q2_K", ["Q2_K", "Q4_0"]),
        ("org/whole:Q8_0", ["no GGUF files"]),
        ("org/bin", ["safetensors"]),
        ("org/old", ["tokenizer.json"]),
        ("org/nothing", ["no model org/nothing", "HF_TOKEN"]),
        ("org/locked", ["terms", "HF_TOKEN"]),
    ],
)
def test_what_cannot_be_fetched_says_why(environ: dict[str, str], name: str, words: list[str]) -> None:
    with fake_hub(FakeHub(REPOS, gated=("org/locked",))) as hub, pytest.raises(HubError) as caught:
        fetch(hub, environ, name)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words), line


def test_offline_is_respected(environ: dict[str, str]) -> None:
    with fake_hub(FakeHub(REPOS)) as hub:
        with pytest.raises(HubError, match="network"):
            fetch(hub, environ, "org/whole", offline=True)
        with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
            fetch(hub, environ | {"HF_HUB_OFFLINE": "1"}, "org/whole")
        assert hub.requests == []


@pytest.mark.parametrize(
    "name", ["", "org", "org/", "/org/name", "org//name", "a/b/c", "org/name:", "org/na me", "org/name/x.bin"]
)
def test_what_is_no_hub_name(name: str) -> None:
    assert HubName.parse(name) is None


def test_a_tag_that_fits_several_files_is_refused() -> None:
    with pytest.raises(HubError, match=r"a-Q8_0\.gguf, b-Q8_0\.gguf"):
        HubName("o/n", tag="Q8_0").pick_gguf(["a-Q8_0.gguf", "b-Q8_0.gguf"])


def test_a_split_file_is_refused() -> None:
    with pytest.raises(HubError, match="split"):
        HubName("o/n", tag="Q8_0").pick_gguf(["a-Q8_0-00001-of-00002.gguf", "a-Q8_0-00002-of-00002.gguf"])


def test_an_adapter_is_its_two_files(environ: dict[str, str]) -> None:
    with fake_hub(FakeHub(REPOS)) as hub:
        online = environ | {"HF_ENDPOINT": hub.url}
        folder = resolve_adapter("org/adapter", progress=SilentProgress(), environ=online)
        assert sorted(path.name for path in folder.iterdir()) == [
            "adapter_config.json",
            "adapter_model.safetensors",
        ]
        hub.requests.clear()
        assert resolve_adapter("org/adapter", progress=SilentProgress(), environ=online) == folder
        assert hub.requests == []
        with pytest.raises(HubError, match=r"org/whole has no adapter_config\.json"):
            resolve_adapter("org/whole", progress=SilentProgress(), environ=online)
    assert resolve_adapter(str(folder), progress=SilentProgress(), environ=environ) == folder
    for name, told in (("./absent", "there is no folder"), (str(folder.parent), "is not an adapter")):
        with pytest.raises(HubError, match=told):
            resolve_adapter(name, progress=SilentProgress(), environ=environ)
