"""`pagoda user`, `pagoda backup` and `pagoda restore` on a data folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pagoda.cli.main import run
from pagoda.hub import DataFolderLock

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def pagoda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line; returns its exit code and all that it said."""
    monkeypatch.setenv("PAGODA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def call(*arguments: str) -> tuple[int, str]:
        code = run(arguments)
        said = capfd.readouterr()
        return code, said.out + said.err

    return call


def test_users_are_added_changed_and_deleted(pagoda: Command) -> None:
    code, said = pagoda("user", "add", "Ada@example.org", "--role", "admin", "--name", "Ada")
    assert code == 0
    assert "signs in once with" in said
    assert pagoda("user", "add", "grace@example.org")[0] == 0
    code, said = pagoda("user", "add", "ada@example.org")
    assert (code, said.count("\n")) == (1, 1)
    assert "has an account already" in said
    assert pagoda("user", "role", "grace@example.org", "pending")[0] == 0
    assert pagoda("user", "password", "grace@example.org")[0] == 0
    listed = pagoda("user", "list")[1].splitlines()
    assert [line.split() for line in listed[1:]] == [
        ["ada@example.org", "Ada", "admin"],
        ["grace@example.org", "grace", "pending"],
    ]
    code, said = pagoda("user", "delete", "--yes", "ada@example.org")
    assert code == 1
    assert "last administrator" in said
    assert pagoda("user", "delete", "--yes", "grace@example.org")[0] == 0
    assert "grace" not in pagoda("user", "list")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "add", "nonsense"),
        ("user", "add", "a@b", "--role", "king"),
        ("user", "password", "nobody@example.org"),
        ("user", "role", "nobody@example.org", "user"),
        ("restore", "nothing.zip"),
        ("backup", "b.zip"),
        ("user",),
    ],
)
def test_mistakes_are_one_line(pagoda: Command, arguments: tuple[str, ...]) -> None:
    code, said = pagoda(*arguments)
    assert code in (1, 2)
    assert said.count("\n") == 1
    assert "internal error" not in said


def test_a_backup_is_brought_back(pagoda: Command, tmp_path: Path) -> None:
    file = str(tmp_path / "b.zip")
    pagoda("user", "add", "ada@example.org", "--role", "admin")
    code, said = pagoda("backup", file)
    assert code == 0
    assert "1 users" in said
    assert pagoda("backup", file)[0] == 1
    pagoda("user", "add", "late@example.org")
    assert pagoda("restore", file)[0] == 1
    code, said = pagoda("restore", "--replace", file)
    assert code == 0
    assert "before-restore" in said
    assert "late" not in pagoda("user", "list")[1]


def test_a_running_server_is_named(pagoda: Command, tmp_path: Path) -> None:
    pagoda("user", "add", "ada@example.org", "--role", "admin")
    server = DataFolderLock(tmp_path / "home")
    server.acquire("http://127.0.0.1:8000")
    try:
        for arguments in (("user", "list"), ("restore", str(tmp_path / "b.zip"))):
            code, said = pagoda(*arguments)
            assert code == 1
            assert "http://127.0.0.1:8000" in said
        assert pagoda("backup", str(tmp_path / "b.zip"))[0] == 0  # which reads alone
    finally:
        server.release()
