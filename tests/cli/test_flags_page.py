"""docs/compatibility.md says of every flag and variable what the table of flags says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pagoda.cli.flags.markdown import with_tables

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


def test_the_page_has_the_tables_as_they_are() -> None:
    text = PAGE.read_text("utf-8")
    assert with_tables(text) == text, "run: python -m pagoda.cli.flags.markdown docs/compatibility.md"


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="flags: begin"):
        with_tables("# nothing")
