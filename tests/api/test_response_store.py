"""Responses that are kept: over restarts, within bounds, in order."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from pagoda.api.responses_api.store import (
    LOST,
    MissingResponseError,
    ResponseStore,
    Retention,
    StoredResponse,
    StoreError,
)


def record(
    name: str, status: str = "completed", previous: str | None = None, size: int = 0
) -> StoredResponse:
    output = [{"id": f"msg_{name}", "type": "message", "content": "x" * size}]
    response = {"id": name, "status": status, "previous_response_id": previous, "output": output}
    return StoredResponse(response, [{"id": f"in_{name}", "type": "message"}])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def test_responses_outlive_the_server(folder: Path) -> None:
    first = ResponseStore(folder)
    await first.put(record("a"))
    await first.put(record("b", "in_progress", previous="a"))
    first.close()
    second = ResponseStore(folder)
    assert await second.get("a") == record("a")
    lost = (await second.get("b")).response
    assert lost["status"] == "failed"
    assert lost["error"] == {"code": "server_error", "message": LOST}
    assert [stored.id for stored in await second.chain("b")] == ["a", "b"]
    assert list(await second.items(["msg_a", "msg_none"])) == ["msg_a"]
    second.close()
    assert (folder / "responses.db").stat().st_mode & 0o077 == 0


async def test_a_response_is_replaced_and_deleted(folder: Path) -> None:
    store = ResponseStore(None)
    await store.put(record("a", "in_progress"))
    done = StoredResponse({**record("a").response, "output": []}, [], [b"one", b"two"])
    await store.put(done)
    assert await store.get("a") == done
    assert await store.items(["msg_a"]) == {}
    await store.put(record("b", previous="a"))
    await store.delete("a")
    for name in ("a", "b"):
        with pytest.raises(MissingResponseError) as caught:
            await store.chain(name)
        assert caught.value.response_id == "a"
    with pytest.raises(MissingResponseError):
        await store.delete("a")
    store.close()


@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        (Retention(responses=3), ["b", "c", "d"]),
        (Retention(bytes=25_000), ["b", "d"]),
        (Retention(bytes=100), ["d"]),
        (Retention(seconds=-1), []),
    ],
)
async def test_the_longest_unused_go_first(folder: Path, retention: Retention, kept: list[str]) -> None:
    store = ResponseStore(folder, retention)
    for name in "abc":
        await store.put(record(name, size=10_000))
    if "b" in kept:
        await store.chain("b")  # using it makes it young again
    await store.put(record("d", size=10_000))
    found = []
    for name in "abcd":
        try:
            found.append((await store.get(name)).id)
        except MissingResponseError:
            continue
    assert found == kept
    store.close()


async def test_a_store_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "responses.db").write_bytes(b"this is no database, however long one looks at it" * 40)
    store = ResponseStore(tmp_path)
    with pytest.raises(StoreError, match="cannot be used"):
        await store.get("a")
    store.close()


async def test_a_store_of_another_version_is_left_alone(folder: Path) -> None:
    store = ResponseStore(folder)
    await store.put(record("a"))
    store.close()
    with sqlite3.connect(folder / "responses.db") as database:
        database.execute("PRAGMA user_version = 99")
    store = ResponseStore(folder)
    with pytest.raises(StoreError, match="another version"):
        await store.put(record("b"))
    store.close()


async def test_what_was_begun_is_done_though_nobody_waits(folder: Path) -> None:
    store = ResponseStore(folder)
    waiting = asyncio.ensure_future(store.put(record("a")))
    await asyncio.sleep(0)
    waiting.cancel()
    assert (await store.get("a")).id == "a"
    store.close()


async def test_many_at_a_time(folder: Path) -> None:
    store = ResponseStore(folder)
    await asyncio.gather(*(store.put(record(f"r{number}")) for number in range(50)))
    assert len(await asyncio.gather(*(store.get(f"r{number}") for number in range(50)))) == 50
    store.close()
