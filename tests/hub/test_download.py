from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.hub.conftest import Recorder
from tests.hub.servers import Behaviour, file_server

from pagoda.hub.download import Target, download, require_space
from pagoda.hub.errors import DiskFullError, SourceError
from pagoda.hub.progress import SilentProgress

CONTENT = random.Random(7).randbytes(3_000_000)


def target_in(folder: Path, content: bytes = CONTENT) -> Target:
    return Target(folder / "model.gguf", len(content), hashlib.sha256(content).hexdigest())


def only_the_file(target: Target) -> bool:
    return [path.name for path in target.path.parent.iterdir()] == [target.path.name]


def test_a_file_arrives_whole_with_progress(tmp_path: Path, recorder: Recorder) -> None:
    target = target_in(tmp_path)
    with file_server(Behaviour({"/f": CONTENT})) as server:
        download(server.url + "/f", target, recorder)
    assert target.path.read_bytes() == CONTENT
    assert only_the_file(target)
    assert recorder.updates[-1] == len(CONTENT)
    assert recorder.updates == sorted(recorder.updates)
    assert recorder.open == 0


def test_a_partial_file_is_gone_on_with(tmp_path: Path) -> None:
    target = target_in(tmp_path)
    target.part.write_bytes(CONTENT[:1_234_567])
    with file_server(Behaviour({"/f": CONTENT})) as server:
        download(server.url + "/f", target, SilentProgress())
        assert server.behaviour.requests == [("/f", "bytes=1234567-")]
    assert target.path.read_bytes() == CONTENT


def test_broken_connections_are_resumed_while_there_is_progress(tmp_path: Path) -> None:
    target = target_in(tmp_path)
    cuts = [500_000] * 5
    with file_server(Behaviour({"/f": CONTENT}, cuts=cuts)) as server:
        download(server.url + "/f", target, SilentProgress())
        starts = [asked for _, asked in server.behaviour.requests]
    assert starts[0] is None
    assert starts[1:] == [f"bytes={500_000 * count}-" for count in range(1, 6)]
    assert target.path.read_bytes() == CONTENT


def test_a_connection_that_only_breaks_fails_and_keeps_what_came(tmp_path: Path) -> None:
    target = target_in(tmp_path)
    with file_server(Behaviour({"/f": CONTENT}, cuts=[700_000, 0, 0, 0, 0, 0])) as server:
        with pytest.raises(SourceError):
            download(server.url + "/f", target, SilentProgress())
        assert target.part.read_bytes() == CONTENT[:700_000]
        assert not target.path.exists()
        server.behaviour.cuts.clear()
        download(server.url + "/f", target, SilentProgress())
    assert target.path.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(tmp_path: Path) -> None:
    target = target_in(tmp_path)
    target.part.write_bytes(b"x" * 1000)
    with file_server(Behaviour({"/f": CONTENT}, ranges=False)) as server:
        download(server.url + "/f", target, SilentProgress())
        assert len(server.behaviour.requests) == 1
    assert target.path.read_bytes() == CONTENT


def test_a_damaged_partial_file_is_thrown_away_and_fetched_anew(tmp_path: Path, recorder: Recorder) -> None:
    target = target_in(tmp_path)
    target.part.write_bytes(b"\0" * 1_000_000)
    with file_server(Behaviour({"/f": CONTENT})) as server:
        download(server.url + "/f", target, recorder)
        assert [asked for _, asked in server.behaviour.requests] == ["bytes=1000000-", None]
    assert target.path.read_bytes() == CONTENT
    assert recorder.messages == ["The partial download was damaged; fetching it anew."]


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 5], ids=["as-long", "too-long"])
def test_a_wrong_part_of_full_length_is_replaced(tmp_path: Path, length: int) -> None:
    target = target_in(tmp_path)
    target.part.write_bytes(b"\1" * length)
    with file_server(Behaviour({"/f": CONTENT})) as server:
        download(server.url + "/f", target, SilentProgress())
    assert target.path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "served",
    [CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), CONTENT[:-10], CONTENT + b"more", b""],
    ids=["one-bit", "short", "long", "empty"],
)
def test_wrong_bytes_are_refused_and_nothing_is_left(tmp_path: Path, served: bytes) -> None:
    target = target_in(tmp_path)
    with file_server(Behaviour({"/f": served})) as server, pytest.raises(SourceError):
        download(server.url + "/f", target, SilentProgress())
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_file_that_is_shorter_at_the_source_is_refused(tmp_path: Path) -> None:
    target = target_in(tmp_path)
    target.part.write_bytes(CONTENT[:1000])
    with file_server(Behaviour({"/f": CONTENT[:-10]})) as server, pytest.raises(SourceError):
        download(server.url + "/f", target, SilentProgress())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_a_refusal_names_the_status(tmp_path: Path, status: int) -> None:
    with (
        file_server(Behaviour({"/f": CONTENT}, status=status)) as server,
        pytest.raises(SourceError, match=str(status)),
    ):
        download(server.url + "/f", target_in(tmp_path), SilentProgress())
    assert list(tmp_path.iterdir()) == []


def test_redirects_are_followed_and_the_token_stays_at_home(tmp_path: Path) -> None:
    with (
        file_server(Behaviour({"/f": CONTENT})) as storage,
        file_server(Behaviour(redirect_to=storage.url)) as hub,
    ):
        headers = {"Authorization": "Bearer secret"}
        download(hub.url + "/f", target_in(tmp_path), SilentProgress(), headers)
        assert hub.behaviour.authorizations == ["Bearer secret"]
        assert storage.behaviour.authorizations == [None]


def test_nobody_there(tmp_path: Path) -> None:
    with file_server(Behaviour()) as server:
        url = server.url
    with pytest.raises(SourceError):
        download(url + "/f", target_in(tmp_path), SilentProgress())
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    target = Target(tmp_path / "model.gguf", 2**60, "0" * 64)
    with file_server(Behaviour({"/f": CONTENT})) as server:
        with pytest.raises(DiskFullError, match="free"):
            download(server.url + "/f", target, SilentProgress())
        assert server.behaviour.requests == []
    with pytest.raises(DiskFullError, match="PAGODA_HOME"):
        require_space(tmp_path, 2**60)


FULL_DISK = """
import resource, sys
from pathlib import Path
from pagoda.hub.download import Target, download
from pagoda.hub.errors import DiskFullError
from pagoda.hub.progress import SilentProgress
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    download(sys.argv[1], Target(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]), SilentProgress())
except DiskFullError as error:
    print(error)
"""


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path) -> None:
    target = target_in(tmp_path)
    with file_server(Behaviour({"/f": CONTENT})) as server:
        arguments = [server.url + "/f", str(target.path), str(target.size), target.sha256]
        ended = subprocess.run(
            [sys.executable, "-c", FULL_DISK, *arguments], capture_output=True, text=True, check=True
        )
    assert "is full" in ended.stdout
    assert ended.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
