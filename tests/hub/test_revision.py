"""Models of Hugging Face at a revision: a branch, a tag or a commit."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.hub.fake_hub import COMMIT, FakeHub, fake_hub

from pagoda.hub import HubError, SilentProgress, resolve
from pagoda.hub.hub_cache import HubName, find_cached

FILES = {"config.json": b"{}", "tokenizer.json": b"{ }", "model.safetensors": b"weights"}
NAME = "org/name"


def fetch(hub: FakeHub, home: Path, revision: str, *, offline: bool = False) -> Path:
    environ = {"HF_HOME": str(home), "HF_ENDPOINT": hub.url}
    found = resolve(NAME, progress=SilentProgress(), offline=offline, revision=revision, environ=environ)
    return found.path


def test_a_tag_is_fetched_and_found_again(tmp_path: Path) -> None:
    with fake_hub(FakeHub({NAME: FILES})) as hub:
        folder = fetch(hub, tmp_path, "v1")
        assert folder.name == COMMIT
        assert any("/revision/v1" in path for _, path in hub.requests)
        hub.requests.clear()
        assert fetch(hub, tmp_path, "v1") == folder
        assert fetch(hub, tmp_path, COMMIT, offline=True) == folder, "the commit itself is a revision"
        assert hub.requests == []
        with pytest.raises(HubError, match="not whole on this disk"):
            fetch(hub, tmp_path, "v2", offline=True)


def test_a_revision_that_does_not_exist(tmp_path: Path) -> None:
    with fake_hub(FakeHub({NAME: FILES}, revisions=("main",))) as hub:
        with pytest.raises(HubError, match="no revision 'v9'"):
            fetch(hub, tmp_path, "v9")
        assert fetch(hub, tmp_path, "main").name == COMMIT


def test_a_word_that_is_no_commit_finds_no_snapshot(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for name, content in FILES.items():
        (snapshot / name).write_bytes(content)
    parsed = HubName.parse(NAME)
    assert parsed is not None
    assert find_cached(parsed, {"HF_HOME": str(tmp_path)}, "abc") is None
