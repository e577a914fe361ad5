"""Functions that loop, fork, die, eat memory, answer nonsense or print a lot: one request is hurt, and it is
known whose fault it was.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.workspace.conftest import open_house
from tests.workspace.functions_support import add, answer, text

from pagoda.workspace.functions.messages import Limits
from pagoda.workspace.functions.process import PluginProcess
from pagoda.workspace.functions.store import code_of
from pagoda.workspace.functions.work import PluginError
from pagoda.workspace.settings import WorkspaceSettings

PATIENT = """
import asyncio, os
class Filter:
    async def inlet(self, body):
        await asyncio.sleep(0.3)
        return {"seen": body}
    def outlet(self, body):
        return os.environ.copy()
"""
ODD = """
import os, time, re, sys
class Filter:
    async def inlet(self, body):
        {code}
    def outlet(self, body):
        {code}
"""


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[PluginProcess]:
    limits = Limits(hook_seconds=2.0, grace_seconds=1.0, memory=512 << 20)
    made = PluginProcess(tmp_path / "run", tmp_path / "packages", "test", limits)
    yield made
    await made.stop()


@pytest.mark.parametrize(
    ("hook", "code", "kind"),
    [
        ("inlet", "while True: pass", "time"),
        ("outlet", "while True: pass", "time"),
        ("outlet", "time.sleep(1000)", "time"),
        ("inlet", "re.match('(a+)+b', 'a' * 40)", "time"),
        ("inlet", "os._exit(7)", "died"),
        ("inlet", "os.kill(os.getpid(), 9)", "died"),
        ("inlet", "os.fork()", "error"),
        ("outlet", "os.execv('/bin/true', ['true'])", "error"),
        ("outlet", "os.kill(os.getppid(), 9)", "error"),
        ("outlet", "raise SystemExit(3)", "error"),
        ("inlet", "raise MemoryError", "memory"),
        ("outlet", "return bytearray(4 << 30)", "memory"),
        ("inlet", "return 'x' * (65 << 20)", "nonsense"),
        ("outlet", "a = []; a.append(a); return a", "nonsense"),
        ("inlet", "def f(): f()\n        f()", "error"),
    ],
)
async def test_it_alone_fails(process: PluginProcess, hook: str, code: str, kind: str) -> None:
    odd, patient = code_of("odd", ODD.replace("{code}", code)), code_of("patient", PATIENT)
    body = {"a": 1}
    calls = (process.call(patient, "inlet", body=body) for _ in range(2))
    failed, *others = await asyncio.gather(process.call(odd, hook, body=body), *calls, return_exceptions=True)
    assert isinstance(failed, PluginError), failed
    assert (failed.function_id, failed.kind) == ("odd", kind), failed
    assert others == [{"seen": body}] * 2
    assert await process.call(patient, "inlet", body=body) == {"seen": body}


async def test_the_process_knows_no_secrets(process: PluginProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBUI_SECRET_KEY", "secret")
    found = await process.call(code_of("patient", PATIENT), "outlet", body={})
    assert "WEBUI_SECRET_KEY" not in found
    assert found["HOME"] != os.environ.get("HOME")


async def test_prints_go_to_the_log_and_only_some_of_them(
    process: PluginProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pagoda.functions")
    prints = ODD.replace("{code}", "for i in range(10000): print('line', i)")
    await process.call(code_of("prints", prints), "inlet", body={})
    lines = [record.message for record in caplog.records if "prints:" in record.message]
    assert lines[0] == "function prints prints: line 0"
    assert len(lines) == 50


async def test_a_pipe_waits_for_its_reader_and_ends_with_it(process: PluginProcess, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pipe = (
        "class Pipe:\n"
        "    async def pipe(self, body):\n"
        "        try:\n"
        "            for index in range(100000):\n"
        "                self.count = index\n"
        "                yield str(index)\n"
        "        finally:\n"
        f"            open({str(mark)!r}, 'w').write(str(self.count))\n"
    )
    items = process.items(code_of("pipe", pipe), body={})
    assert [(await anext(items))["text"] for _ in range(3)] == ["0", "1", "2"]
    await items.aclose()
    other = await process.call(code_of("pipe", pipe), "describe")
    assert other["type"] == "pipe"
    for _ in range(100):
        if mark.exists() and mark.read_text():
            break
        await asyncio.sleep(0.02)
    assert int(mark.read_text()) < 200


async def test_the_instance_is_shared_by_requests_that_run_at_once(process: PluginProcess) -> None:
    shared = code_of(
        "shared",
        "import asyncio\n"
        "class Filter:\n"
        "    def __init__(self):\n"
        "        self.seen, self.both = [], asyncio.Event()\n"
        "    async def inlet(self, body):\n"
        "        self.seen.append(body['n'])\n"
        "        if len(self.seen) == 2:\n"
        "            self.both.set()\n"
        "        await self.both.wait()\n"
        "        return sorted(self.seen)\n",
    )
    found = await asyncio.gather(*(process.call(shared, "inlet", body={"n": n}) for n in (1, 2)))
    assert found == [[1, 2], [1, 2]]


@pytest.mark.sqlite_only
@pytest.mark.parametrize(
    ("code", "told"),
    [("return 5", "inlet: inlet has to return the body"), ("os._exit(1)", "inlet: The plugin process died")],
)
async def test_the_page_names_the_function_and_its_row_remembers(
    tmp_path: Path, code: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        await add(ada, ODD.replace("{code}", code), "odd")
        failed = await answer(ada)
        assert failed["type"] == "failed"
        assert "odd" in failed["error"]["message"]
        row: dict[str, Any] = (await ada.get("/api/admin/functions/odd")).json()
        assert row["error"].startswith(told)
        assert any("function odd" in record.message for record in caplog.records)
        await ada.patch("/api/admin/functions/odd", json={"active": False})
        assert text(await answer(ada)) == "Hello, world."


@pytest.mark.sqlite_only
async def test_safe_mode_loads_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        await add(ada, ODD.replace("{code}", "raise ValueError('no')"), "odd")
    settings = WorkspaceSettings(default_role="user", safe_mode=True)
    async with open_house(tmp_path, settings=settings) as house, house.signed_in() as ada:
        assert text(await answer(ada)) == "Hello, world."
        listed = (await ada.get("/api/admin/functions")).json()
        assert listed["safe_mode"] is True
        assert house.workspace.functions.host.process.pid is None


@pytest.mark.sqlite_only
async def test_no_process_is_started_without_functions(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        assert text(await answer(ada)) == "Hello, world."
        assert house.workspace.functions.host.process.pid is None
