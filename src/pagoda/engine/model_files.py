"""From what a script calls a model to files on disk, with a progress bar where they must be fetched first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm  # type: ignore[import-untyped]


class FoundModel(NamedTuple):
    """Where a model lies, and the sampling its catalog entry advises."""

    path: Path
    generation_config: dict[str, float]


def find_model(
    model: str | Path, revision: str | None = None, environ: Mapping[str, str] | None = None
) -> FoundModel:
    """The path itself where it exists, else what the hub has under that name (and revision). Raises HubError
    with one line. environ: in place of os.environ.
    """
    path = Path(model).expanduser()
    if path.exists():
        return FoundModel(path, {})
    from pagoda import hub  # a local path never needs it

    found = hub.resolve(str(model), progress=_TqdmProgress(), revision=revision, environ=environ)
    return FoundModel(found.path, dict(found.generation_config))


class _TqdmProgress:
    """Draws the hub's progress as bars (see `pagoda.hub.ProgressReporter`)."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def message(self, text: str) -> None:
        tqdm.write(text)

    def start(self, description: str, total: int | None) -> None:
        self._bar = tqdm(desc=description, total=total, unit="B", unit_scale=True)

    def update(self, done: int, total: int | None = None) -> None:
        if self._bar is not None:
            self._bar.total = total if total is not None else self._bar.total
            self._bar.update(done - self._bar.n)

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
