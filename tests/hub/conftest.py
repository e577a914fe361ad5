from __future__ import annotations

import pytest

NETWORK_SETTINGS = (
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
)


@pytest.fixture(autouse=True)
def _own_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's mirrors and proxies have no say here."""
    for name in NETWORK_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")


class Recorder:
    """A progress reporter that remembers."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.tasks: list[tuple[str, int | None]] = []
        self.updates: list[int] = []
        self.open = 0

    def message(self, text: str) -> None:
        self.messages.append(text)

    def start(self, description: str, total: int | None) -> None:
        self.tasks.append((description, total))
        self.open += 1

    def update(self, done: int, total: int | None = None) -> None:
        self.updates.append(done)

    def finish(self) -> None:
        self.open -= 1


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
