"""The log that administrators read in the page: bounded, by level, without secrets and prompts."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.workspace.conftest import open_house

from pagoda.workspace.admin.log_ring import LogRing, without_secrets


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A log of the test's own."""
    found = logging.getLogger("test.ring")
    found.setLevel("DEBUG")
    found.propagate = False
    yield found
    found.handlers = []
    found.propagate = True


def test_lines_are_numbered_bounded_and_found_by_level(log: logging.Logger) -> None:
    ring = LogRing(most=3)
    log.addHandler(ring)
    for number in range(4):
        log.info("line %d", number)
    log.error("broken")
    texts = [line.text for line in ring.lines()]
    assert texts == ["line 2", "line 3", "broken"]
    assert [line.text for line in ring.lines(level="WARNING")] == ["broken"]
    assert [line.text for line in ring.lines(limit=2)] == ["line 3", "broken"]
    second = ring.lines()[1]
    assert [line.text for line in ring.lines(after=second.seq)] == ["broken"]
    assert ring.lines(after=ring.last) == []


def test_numbers_go_on_after_a_restart(log: logging.Logger) -> None:
    before, log.handlers = LogRing(), []
    log.addHandler(before)
    log.info("a")
    seen = before.last
    after = LogRing()
    log.addHandler(after)
    log.info("b")
    log.info("c")
    assert [line.text for line in after.lines(after=seen)][-1] == "c"


def test_a_traceback_belongs_to_its_line(log: logging.Logger) -> None:
    ring = LogRing()
    log.addHandler(ring)
    try:
        raise ValueError("too small")
    except ValueError:
        log.exception("an answer failed")
    [line] = ring.lines()
    assert line.text.startswith("an answer failed\nTraceback")
    assert line.text.endswith("ValueError: too small")
    assert (line.level, line.source) == ("ERROR", "server")


def test_what_engines_write_is_a_line_of_theirs() -> None:
    ring = LogRing()
    ring.engine_line("terminate called")
    ring.engine_line("   ")
    [line] = ring.lines()
    assert (line.source, line.level, line.text) == ("engine", "WARNING", "terminate called")


def test_what_people_wrote_stays_out() -> None:
    silent = logging.getLogger("test.silent")
    ring = LogRing(silent=("test.silent",))
    silent.addHandler(ring)
    silent.propagate = False
    silent.warning("Received request: prompt: 'my secret diary'")
    silent.handlers = []
    silent.propagate = True
    assert ring.lines() == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key sk-pagoda-abcdefghijklmnop used", "key sk-••• used"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer •••"),
        ("postgresql://pagoda:hunter22@db/pagoda", "postgresql://pagoda:•••@db/pagoda"),
        ("GET /api/invitations/Ab_cd-123 HTTP/1.1", "GET /api/invitations/••• HTTP/1.1"),
        ("GET /?invitation=abcdefgh&x=1", "GET /?invitation=•••&x=1"),
        ("api_key='abcdefgh' refused", "api_key='•••' refused"),
        ("HF_TOKEN: hf_abcdefghijklmnop", "HF_TOKEN: •••"),
        ("12 prompt tokens, 5 tokens/s, keys: 3", "12 prompt tokens, 5 tokens/s, keys: 3"),
    ],
)
def test_secrets_are_never_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.sqlite_only
async def test_the_route_gives_lines_and_then_what_comes(tmp_path: Path, log: logging.Logger) -> None:
    ring = LogRing()
    log.addHandler(ring)
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        assert (await ada.get("/api/admin/logs")).json() == {"lines": [], "last": 0, "kept": False}
        house.workspace.log = ring
        log.info("one")
        log.warning("two")
        found = (await ada.get("/api/admin/logs", params={"level": "WARNING"})).json()
        assert [line["text"] for line in found["lines"]] == ["two"]
        assert found["kept"] is True
        assert found["last"] == found["lines"][0]["seq"]
        assert (await ada.get("/api/admin/logs", params={"level": "LOUD"})).status_code == 422


async def test_the_stream_has_each_line_once() -> None:
    from pagoda.workspace.routes.admin_live import _lines

    ring, ended = LogRing(), asyncio.Event()
    ring.engine_line("one")
    stream = _lines(ring, 0, ended)
    assert json.loads((await anext(stream))[6:]) == {"type": "hello", "kept": True}
    first = json.loads((await anext(stream))[6:])
    assert [line["text"] for line in first["lines"]] == ["one"]
    coming = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    ring.engine_line("two")
    ring.engine_line("three")
    assert [line["text"] for line in json.loads((await coming)[6:])["lines"]] == ["two", "three"]
    ended.set()  # the server ends
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
