"""Restoring by button: checked first, in the place of everything, or as if nothing had been."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import SQLAlchemyError
from tests.workspace.conftest import ADMIN, USER, House, open_house
from tests.workspace.test_backup import everything, fill
from tests.workspace.test_chats import ask, new_chat

from pagoda.workspace.storage import migrate
from pagoda.workspace.storage.database import DatabaseClosedError, DatabaseError

PASSWORD = {"password": ADMIN["password"]}


async def backup(client: httpx.AsyncClient) -> bytes:
    response = await client.post("/api/admin/backup")
    assert response.status_code == 200
    return response.content


async def staged(client: httpx.AsyncClient, archive: bytes) -> dict[str, Any]:
    response = await client.post("/api/admin/restore", content=archive)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def left(folder: Path) -> list[str]:
    """Work that was not cleaned up."""
    return [path.name for path in folder.glob(".restore-*")]


async def test_everything_is_as_it_was_saved(house: House, tmp_path: Path) -> None:
    await fill(house)
    before = await everything(house)
    async with house.signed_in() as ada, house.browser() as grace:
        archive = await backup(ada)
        await ada.post("/api/chats", json={"title": "Later"})
        await ada.patch("/api/admin/settings", json={"WEBUI_NAME": "Later"})
        await grace.post("/api/auth/login", json=USER)
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / "later").write_bytes(b"later")
        found = await staged(ada, archive)
        assert found["administrators"] == [ADMIN["email"]]
        assert (found["users"], found["chats"], found["messages"]) == (2, 1, 2)
        assert found["size"] == len(archive)
        assert (await ada.get("/api/config")).json()["name"] == "Later"  # nothing has happened yet
        wrong = await ada.post(f"/api/admin/restore/{found['id']}", json={"password": "a guess"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (403, "current")
        done = await ada.post(f"/api/admin/restore/{found['id']}", json=PASSWORD)
        assert done.status_code == 200, done.text
        for client in (ada, grace):
            assert (await client.get("/api/me")).status_code == 401  # whoever was signed in
    assert await everything(house) == before
    assert not (tmp_path / "files" / "later").exists()
    assert left(tmp_path) == []
    [aside] = (path for path in tmp_path.glob("before-restore-*") if path.is_dir())
    assert (aside / "files" / "later").read_bytes() == b"later"
    if house.workspace.database.is_sqlite:
        assert b"Later" in (aside / "workspace.db").read_bytes()
    else:
        [saved] = tmp_path.glob("before-restore-*.zip")
        with zipfile.ZipFile(saved) as rows:
            assert b"Later" in rows.read("rows/chat.jsonl")
    async with house.signed_in() as ada:
        [event] = (await ada.get("/api/admin/audit", params={"action": "restore"})).json()["events"]
        assert event["detail"]["by"] == ADMIN["email"]
        chat = await new_chat(ada)  # and the house goes on
        await ask(ada, chat, "Hi")


async def test_a_form_does_as_well_and_an_upload_can_be_forgotten(house: House, tmp_path: Path) -> None:
    async with house.signed_in() as ada:
        archive = await backup(ada)
        sent = await ada.post("/api/admin/restore", files={"file": ("a.zip", archive, "application/zip")})
        first = sent.json()["id"]
        second = (await staged(ada, archive))["id"]
        assert len(left(tmp_path)) == 1  # the second took the first one's place
        assert (await ada.post(f"/api/admin/restore/{first}", json=PASSWORD)).status_code == 404
        assert (await ada.delete(f"/api/admin/restore/{second}")).status_code == 200
        assert left(tmp_path) == []
        assert (await ada.post(f"/api/admin/restore/{second}", json=PASSWORD)).status_code == 404


async def test_an_answer_in_the_making_is_laid_aside_with_the_rest(tmp_path: Path) -> None:
    gate = asyncio.Semaphore(1)
    async with open_house(tmp_path, gate=gate) as house, house.signed_in() as ada:
        archive = await backup(ada)
        chat = await new_chat(ada)
        await ask(ada, chat, "Hi")
        [run] = house.workspace.generations.everyones()
        async for batch in run.events():
            if any(event["type"] == "delta" for event in batch):
                break
        found = await staged(ada, archive)
        done = await ada.post(f"/api/admin/restore/{found['id']}", json=PASSWORD)
        assert done.status_code == 200, done.text
        assert run.ended
        with pytest.raises(DatabaseClosedError):
            async with house.workspace.database.read():
                pass
    if house.workspace.database.is_sqlite:
        [aside] = tmp_path.glob("before-restore-*")
        assert b"Hello" in (aside / "workspace.db").read_bytes()


@pytest.mark.sqlite_only
async def test_requests_meanwhile_are_told_to_wait(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        house.workspace.restoring = True
        refused = await ada.get("/api/chats")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert refused.json()["error"]["type"] == "restoring"
        house.workspace.restoring = False


def changed(archive: bytes, kind: str) -> bytes:
    """An archive that cannot be restored."""
    if kind == "no archive":
        return b"hello"
    if kind == "cut":
        return archive[: len(archive) // 2]
    if kind == "damaged":
        place = archive.index(b"rows/user.jsonl") + 60
        return (
            archive[:place] + bytes(255 - byte for byte in archive[place : place + 8]) + archive[place + 8 :]
        )
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(made, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "manifest.json":
                manifest = json.loads(content)
                manifest["schema"] = "9000" if kind == "newer" else migrate.revisions()[-1]
                content = json.dumps(manifest).encode()
            if kind == "odd rows" and info.filename == "rows/chat.jsonl":
                content = b'{"id": 1, "colour": "red"}\n'
            new.writestr(info.filename, content)
    return made.getvalue()


@pytest.mark.parametrize("kind", ["no archive", "cut", "damaged", "newer"])
@pytest.mark.sqlite_only
async def test_what_is_no_good_backup_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    async with open_house(tmp_path) as house:
        await fill(house)
        async with house.signed_in() as ada:
            refused = await ada.post("/api/admin/restore", content=changed(await backup(ada), kind))
            assert refused.status_code == 400, refused.text
            message = refused.json()["error"]["message"]
            assert str(tmp_path) not in message
            assert "\n" not in message
            assert (await ada.get("/api/me")).status_code == 200
    assert left(tmp_path) == []


async def test_rows_that_do_not_fit_leave_everything_as_it_was(house: House, tmp_path: Path) -> None:
    await fill(house)
    before = await everything(house)
    async with house.signed_in() as ada:
        found = await staged(ada, changed(await backup(ada), "odd rows"))
        refused = await ada.post(f"/api/admin/restore/{found['id']}", json=PASSWORD)
        assert refused.status_code == 400
        assert "Nothing was changed" in refused.json()["error"]["message"]
        assert (await ada.get("/api/me")).status_code == 200  # still signed in
    assert await everything(house) == before
    assert left(tmp_path) == []


@pytest.mark.sqlite_only  # PostgreSQL's rows are replaced where they are
async def test_a_workspace_that_does_not_begin_gives_way_to_the_old_one(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(house)
    async with house.signed_in() as ada:
        archive = await backup(ada)
        await ada.post("/api/chats", json={"title": "Later"})
        before = [chat["title"] for chat in (await ada.get("/api/chats")).json()["chats"]]
        found = await staged(ada, archive)
        again, tries = house.workspace.again, []

        def broken() -> Any:
            made = again()
            tries.append(made)
            if len(tries) == 1:

                async def fail() -> None:
                    raise DatabaseError("no room on the disk")

                monkeypatch.setattr(made, "start", fail)
            return made

        monkeypatch.setattr(house.workspace, "again", broken)
        refused = await ada.post(f"/api/admin/restore/{found['id']}", json=PASSWORD)
        assert refused.status_code == 400
        assert "no room on the disk" in refused.json()["error"]["message"]
        after = [chat["title"] for chat in (await ada.get("/api/chats")).json()["chats"]]
        assert after == before
    assert not list(tmp_path.glob("before-restore-*"))


@pytest.mark.sqlite_only
async def test_what_an_earlier_server_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".restore-abc.zip").write_bytes(b"half")
    (tmp_path / ".restore-def").mkdir()
    async with open_house(tmp_path):
        assert left(tmp_path) == []


@pytest.mark.sqlite_only
async def test_open_sessions_end_before_the_database_is_closed(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        database = house.workspace.database
        entered, release = asyncio.Event(), asyncio.Event()

        async def work() -> str:
            async with database.read():
                entered.set()
                await release.wait()
            return "whole"

        working = asyncio.create_task(work())
        await entered.wait()
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0)
        assert not closing.done()
        with pytest.raises((DatabaseClosedError, SQLAlchemyError)):
            async with database.write():
                pass
        release.set()
        assert await working == "whole"
        await closing
