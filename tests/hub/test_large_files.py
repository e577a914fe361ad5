"""Large files that a hub tells the checksum of: an early end loses nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.hub.conftest import Recorder
from tests.hub.fake_hub import FakeHub, fake_hub

from pagoda.hub.errors import HubError
from pagoda.hub.hub_cache import HubName
from pagoda.hub.huggingface import obtain_from_hub
from pagoda.hub.large_files import LARGE_BYTES
from pagoda.hub.progress import SilentProgress

FILE = "tiny-Q8_0.gguf"
CONTENT = bytes(range(256)) * (LARGE_BYTES // 256) + b"more than that"
NAME = HubName("org/big", file=FILE)
HALF = LARGE_BYTES // 2


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HF_HOME": str(tmp_path / "hf")}


def blobs(environ: dict[str, str]) -> Path:
    return Path(environ["HF_HOME"]) / "hub" / "models--org--big" / "blobs"


def test_what_had_come_is_gone_on_with(environ: dict[str, str], recorder: Recorder) -> None:
    with fake_hub(FakeHub({"org/big": {FILE: CONTENT}}, lfs=True)) as hub:
        settings = environ | {"HF_ENDPOINT": hub.url}
        whole = obtain_from_hub(NAME, SilentProgress(), environ=settings)
        blob = whole.resolve()
        assert whole.read_bytes() == CONTENT
        assert whole.is_symlink()
        assert blob.parent == blobs(environ)
        assert hub.downloaded() == [FILE]
        blob.with_name(blob.name + ".part").write_bytes(CONTENT[:HALF])
        whole.unlink()
        blob.unlink()
        assert obtain_from_hub(NAME, recorder, environ=settings).read_bytes() == CONTENT
        assert hub.ranges == [f"bytes={HALF}-"]
    assert [path.name for path in blobs(environ).iterdir()] == [blob.name]
    assert recorder.tasks == [("Downloading org/big", len(CONTENT))]


def test_what_had_come_counts_as_done(environ: dict[str, str]) -> None:
    """The progress of a download that is gone on with begins where the last one ended."""
    release = threading.Event()

    class Watcher(Recorder):
        def update(self, done: int, total: int | None = None) -> None:
            super().update(done, total)
            if done:
                release.set()

    watcher = Watcher()
    with fake_hub(FakeHub({"org/big": {FILE: CONTENT}}, lfs=True)) as hub:
        settings = environ | {"HF_ENDPOINT": hub.url}
        blob = obtain_from_hub(NAME, SilentProgress(), environ=settings).resolve()
        for link in blob.parents[1].glob("snapshots/*/*"):
            link.unlink()
        blob.rename(blob.with_name(blob.name + ".part"))
        with blob.with_name(blob.name + ".part").open("r+b") as part:
            part.truncate(HALF)
        hub.holds[FILE] = (HALF, release)
        obtain_from_hub(NAME, watcher, environ=settings)
    assert min(filter(None, watcher.updates)) >= HALF


def test_wrong_bytes_are_thrown_away(environ: dict[str, str]) -> None:
    wrong = CONTENT[:-1] + b"!"
    lying = FakeHub({"org/big": {FILE: CONTENT}}, lfs=True, wrong={FILE: wrong})
    with fake_hub(lying) as hub, pytest.raises(HubError, match="checksum"):
        obtain_from_hub(NAME, SilentProgress(), environ=environ | {"HF_ENDPOINT": hub.url})
    assert not list(blobs(environ).iterdir())
