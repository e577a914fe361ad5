from __future__ import annotations

from pathlib import Path

from pagoda.cli.machine import in_container


def test_containers_are_known_by_their_marks(tmp_path: Path) -> None:
    assert not in_container(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".containerenv").touch()
    assert in_container(tmp_path)
