"""What an engine's process writes on standard error."""

from __future__ import annotations

from threading import Event

import pytest

from pagoda.engine.config import EngineConfig
from pagoda.engine.launcher import EngineProcess

PROGRAM = "import sys; sys.stderr.write('one\\ntwo \\u00e9'); sys.stderr.flush()"


def test_words_of_the_process_are_told_and_stay_on_the_console(capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []
    both = Event()

    def told(line: str) -> None:
        heard.append(line)
        if len(heard) == 2:
            both.set()

    process = EngineProcess.start(EngineConfig(model_path="toy"), ("-c", PROGRAM), told)
    try:
        assert both.wait(30)
    finally:
        process.connection.close()
        process.end(30)
    assert heard == ["one", "two é"]
    assert capfd.readouterr().err == "one\ntwo é"
