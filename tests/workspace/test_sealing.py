"""Secrets at rest: they open with the same key for the same purpose, and in no other way."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pagoda.workspace.storage.database import DatabaseError
from pagoda.workspace.storage.sealing import KEY_FILE, Sealer, SealingError


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"])), purpose=st.text("abc/", max_size=8))
def test_what_is_sealed_opens(tmp_path: Path, text: str, purpose: str) -> None:
    sealed = Sealer(tmp_path).seal(text, purpose)
    assert Sealer(tmp_path).unseal(sealed, purpose) == text


def test_a_sealed_secret_shows_nothing_and_differs_each_time(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path)
    first, second = sealer.seal("sk-secret", "a"), sealer.seal("sk-secret", "a")
    assert first != second
    assert "secret" not in first


def test_it_opens_for_its_purpose_and_with_its_key_alone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    sealer = Sealer(tmp_path)
    sealed = sealer.seal("sk-secret", "connection/a")
    wrong = [(sealer, sealed, "connection/b"), (Sealer(tmp_path / "other"), sealed, "connection/a")]
    wrong += [(sealer, text, "connection/a") for text in ("", "sk-secret", "v1:AAAA", sealed[:-6])]
    for other, text, purpose in wrong:
        with pytest.raises(SealingError, match="does not open"):
            other.unseal(text, purpose)


def test_the_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    Sealer(tmp_path).seal("a", "b")
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_key_from_the_environment_needs_no_file(tmp_path: Path) -> None:
    sealed = Sealer(tmp_path, "my own words").seal("a", "b")
    assert Sealer(tmp_path, "my own words").unseal(sealed, "b") == "a"
    with pytest.raises(SealingError, match="WEBUI_SECRET_KEY"):
        Sealer(tmp_path, "other words").unseal(sealed, "b")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_key_file_is_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("not a key")
    with pytest.raises(DatabaseError, match="hexadecimal"):
        Sealer(tmp_path).seal("a", "b")
    assert (tmp_path / KEY_FILE).read_text() == "not a key"
