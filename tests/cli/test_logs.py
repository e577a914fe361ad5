from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from pagoda.cli.errors import UsageError
from pagoda.cli.logs import configure_logging
from pagoda.workspace.admin.log_ring import LogRing


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """Pagoda's log, put back as it was afterwards."""
    log = logging.getLogger("pagoda")
    before = (log.handlers, log.level, log.propagate)
    log.handlers = []
    yield log
    log.handlers, log.level, log.propagate = before
    log.manager._clear_cache()  # type: ignore[attr-defined]


def test_lines_look_like_vllms(log: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging({})
    logging.getLogger("pagoda.somewhere").info("hello %d", 3)
    logging.getLogger("pagoda.somewhere").debug("hidden")
    line = capsys.readouterr().err
    assert line.startswith("INFO ")
    assert line.endswith("] hello 3\n")
    assert "test_logs.py:" in line


def test_the_level_comes_from_the_environment(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging({"VLLM_LOGGING_LEVEL": "warning"})
    logging.getLogger("pagoda.a").info("hidden")
    assert capsys.readouterr().err == ""
    with pytest.raises(UsageError, match="'LOUD'"):
        configure_logging({"VLLM_LOGGING_LEVEL": "loud"})


def test_logging_may_be_left_to_others(log: logging.Logger) -> None:
    configure_logging({"VLLM_CONFIGURE_LOGGING": "0"})
    assert log.handlers == []


def test_a_second_reader_gets_what_is_seen_and_what_libraries_warn_of(
    log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = list(root.handlers)
    ring = LogRing()
    try:
        assert configure_logging({}, ring)
        logging.getLogger("pagoda.somewhere").info("hello")
        logging.getLogger("pagoda.somewhere").debug("hidden")
        logging.getLogger("somebody.else").warning("careful")
        logging.getLogger("somebody.else").info("chatter")
    finally:
        root.handlers = before
    assert [line.text for line in ring.lines()] == ["hello", "careful"]
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert not configure_logging({"VLLM_CONFIGURE_LOGGING": "0"}, ring)
