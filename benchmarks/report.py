"""Figures as plain text and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of plain text: the first to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first = f"{cells[0]:<{widths[0]}}"
        rest = (f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True))
        return "  ".join([first, *rest]).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def verdict(value: float, wanted: float, *, at_most: bool) -> str:
    """Whether a figure is what the project asks of itself."""
    good = value <= wanted if at_most else value >= wanted
    return "yes" if good else "NO"


class Report:
    """Sections that are printed as they come and kept for the files."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._data: dict[str, Any] = {}

    def add(self, key: str, title: str, text: str, data: Any) -> None:
        section = f"{title}\n{'=' * len(title)}\n{text}\n"
        print(section, flush=True)
        self._texts.append(section)
        self._data[key] = data

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Writes bench.txt and bench.json."""
        folder.mkdir(parents=True, exist_ok=True)
        text, data = folder / "bench.txt", folder / "bench.json"
        text.write_text("\n".join(self._texts))
        data.write_text(json.dumps(self._data, indent=1, default=_plain) + "\n")
        return text, data


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"{type(value).__name__} does not go into JSON")
