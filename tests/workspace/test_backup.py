"""What was saved comes back: on the same database or another, in another folder, or after an upgrade."""

from __future__ import annotations

import io
import json
import shutil
import stat
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.workspace.conftest import ADMIN, USER, House, open_house

from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage import migrate
from pagoda.workspace.storage.backup import restore_backup, write_backup
from pagoda.workspace.storage.database import Database, DatabaseError
from pagoda.workspace.storage.exchange import exchange, finish_exchange
from pagoda.workspace.storage.sealing import KEY_FILE
from pagoda.workspace.storage.tables import UsageEvent


async def fill(house: House) -> None:
    """Something of everything that is hard to bring back."""
    async with house.signed_in() as ada:
        parent = (await ada.post("/api/folders", json={"name": "Work"})).json()["id"]
        await ada.post("/api/folders", json={"name": "Sub", "parent_id": parent})
        chat = (await ada.post("/api/chats", json={"title": "北京 \x00 and “quotes”"})).json()["id"]
        body = {"parts": [{"type": "text", "text": "Hello\nthere"}], "models": ["fake"]}
        asked = (await ada.post(f"/api/chats/{chat}/generate", json=body)).json()
        await ada.get(f"/api/generations/{asked['generations'][0]['id']}/events")
        await ada.post("/api/admin/users", json=USER)
        await ada.patch("/api/admin/settings", json={"WEBUI_NAME": "The Lab"})


async def everything(house: House) -> dict[str, object]:
    """What there is, as its owner sees it."""
    async with house.signed_in() as ada:
        chats = (await ada.get("/api/chats")).json()["chats"]
        found: dict[str, object] = {
            "chats": chats,
            "messages": (await ada.get(f"/api/chats/{chats[0]['id']}/messages")).json(),
            "folders": (await ada.get("/api/folders")).json(),
            "users": (await ada.get("/api/admin/users")).json()["total"],
            "name": (await ada.get("/api/config")).json()["name"],
            "hits": (await ada.get("/api/search", params={"q": "there"})).json(),
        }
    return found


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
async def test_everything_comes_back_on_any_database(
    house: House, tmp_path: Path, target: str, request: pytest.FixtureRequest
) -> None:
    await fill(house)
    workspace = house.workspace
    sealed = workspace.sealer.seal("sk-secret", "connection/a")
    (tmp_path / "files").mkdir(exist_ok=True)
    (tmp_path / "files" / "abc").write_bytes(b"\x00bytes")
    before = await everything(house)
    archive = tmp_path / "backup.zip"
    await write_backup(workspace.database, tmp_path, archive, "test")
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600

    new: Callable[[], Awaitable[str]] | None = None
    if target == "postgresql":
        new = request.getfixturevalue("empty_database")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    url = f"sqlite:///{elsewhere / 'workspace.db'}" if new is None else await new()
    database = Database.open(url, elsewhere)
    assert await restore_backup(archive, database, elsewhere, replace=False) is None
    await database.close()
    settings = WorkspaceSettings(database_url=url)
    async with open_house(elsewhere, settings=settings) as restored:
        assert await everything(restored) == before
        assert restored.workspace.sealer.unseal(sealed, "connection/a") == "sk-secret"
    assert (elsewhere / "files" / "abc").read_bytes() == b"\x00bytes"
    assert stat.S_IMODE((elsewhere / KEY_FILE).stat().st_mode) == 0o600


async def test_what_is_there_is_replaced_on_demand_alone(tmp_path: Path) -> None:
    archive = tmp_path / "backup.zip"
    async with open_house(tmp_path) as house:
        await fill(house)
        before = await everything(house)
        await write_backup(house.workspace.database, tmp_path, archive, "test")
        async with house.signed_in() as ada:
            await ada.post("/api/chats", json={"title": "Later"})
        url = house.workspace.database.url.render_as_string(hide_password=False)
    database = Database.open(url, tmp_path)
    with pytest.raises(DatabaseError, match="--replace"):
        await restore_backup(archive, database, tmp_path, replace=False)
    aside = await restore_backup(archive, database, tmp_path, replace=True)
    await database.close()
    async with open_house(tmp_path) as house:
        assert await everything(house) == before
    if database.is_sqlite:
        assert aside is not None
        assert b"Later" in (aside / "workspace.db").read_bytes()


@pytest.mark.sqlite_only
@pytest.mark.parametrize("moved", range(6))
async def test_a_restore_that_was_killed_is_finished_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    """Killed after so many of the files have moved: what is left of it is what a killed process leaves."""
    archive = tmp_path / "backup.zip"
    async with open_house(tmp_path) as house:
        await fill(house)
        sealed = house.workspace.sealer.seal("kept", "test")
        (tmp_path / "files").mkdir(exist_ok=True)
        (tmp_path / "files" / "note").write_bytes(b"kept")
        before = await everything(house)
        await write_backup(house.workspace.database, tmp_path, archive, "test")
        async with house.signed_in() as ada:
            await ada.post("/api/chats", json={"title": "Later"})
        (tmp_path / "files" / "note").write_bytes(b"later")
        url = house.workspace.database.url.render_as_string(hide_password=False)
    database = Database.open(url, tmp_path)
    left = tmp_path / "left"
    move, done = Path.replace, []

    def replace(path: Path, target: Path) -> Path:
        if path.parent == tmp_path and path.suffix == ".new":
            return move(path, target)
        if len(done) == moved:
            shutil.copytree(tmp_path, left)
        done.append(path)
        return move(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    await restore_backup(archive, database, tmp_path, replace=True)
    await database.close()
    monkeypatch.undo()
    assert len(done) == 6, "files, key and database, there and back"
    async with open_house(left) as house:
        assert await everything(house) == before
        assert house.workspace.sealer.unseal(sealed, "test") == "kept"
    assert (left / "files" / "note").read_bytes() == b"kept"
    [aside] = left.glob("before-restore-*")
    assert b"Later" in (aside / "workspace.db").read_bytes()
    assert (aside / "files" / "note").read_bytes() == b"later"
    assert not [path for path in left.iterdir() if path.name.startswith(".")]


def test_an_exchange_that_fails_puts_back_what_has_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, draft = tmp_path / "home", tmp_path / "home" / ".restore-draft"
    for folder, words in ((home, b"old"), (draft, b"new")):
        (folder / "files").mkdir(parents=True)
        (folder / "files" / "note").write_bytes(words)
        (folder / "workspace.db").write_bytes(words)
    move = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if path == draft / "workspace.db":
            raise OSError("no room")
        return move(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="no room"):
        exchange(draft, home, str(home / "workspace.db"))
    assert (home / "files" / "note").read_bytes() == b"old"
    assert (home / "workspace.db").read_bytes() == b"old"
    assert sorted(path.name for path in home.iterdir()) == [".restore-draft", "files", "workspace.db"]
    shutil.rmtree(draft)
    assert not finish_exchange(home)


async def test_a_backup_is_downloaded_and_leaves_nothing_behind(house: House, tmp_path: Path) -> None:
    await fill(house)
    async with house.signed_in() as ada:
        response = await ada.post("/api/admin/backup")
        [event] = (await ada.get("/api/admin/audit", params={"action": "backup"})).json()["events"]
    assert response.headers["content-disposition"].startswith('attachment; filename="pagoda-')
    assert event["user_email"] == ADMIN["email"]
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        users = archive.read("rows/user.jsonl").decode()
    assert manifest["rows"]["user"] == 2
    assert ADMIN["email"] in users
    assert not list(tmp_path.glob(".backup-*"))


async def _try(source: Path, folder: Path) -> None:
    folder.mkdir()
    database = Database.open(None, folder)
    try:
        with pytest.raises(DatabaseError) as caught:
            await restore_backup(source, database, folder, replace=False)
    finally:
        await database.close()
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []
    assert not list(folder.parent.glob("outside*"))


@pytest.mark.parametrize("name", ["files/../../outside", "files/../outside", "files/a\\..\\outside"])
@pytest.mark.sqlite_only
async def test_an_archive_writes_nothing_elsewhere(tmp_path: Path, name: str) -> None:
    source = tmp_path / "evil.zip"
    with zipfile.ZipFile(source, "w") as archive:
        manifest = {"format": 1, "schema": migrate.revisions()[-1], "version": "1"}
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr(name, b"evil")
    await _try(source, tmp_path / "here")


@pytest.mark.parametrize("kind", ["missing", "no archive", "cut", "another's", "newer", "odd rows"])
@pytest.mark.sqlite_only
async def test_what_cannot_be_brought_back_is_told_and_changes_nothing(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "backup.zip"
    async with open_house(tmp_path) as house:
        await fill(house)
        await write_backup(house.workspace.database, tmp_path, source, "test")
    whole = source.read_bytes()
    if kind == "missing":
        source.unlink()
    elif kind == "no archive":
        source.write_bytes(b"hello")
    elif kind == "cut":
        source.write_bytes(whole[: len(whole) // 2])
    else:
        source.unlink()
        with zipfile.ZipFile(source, "w") as archive:
            schema = "9000" if kind == "newer" else migrate.revisions()[-1]
            manifest = {} if kind == "another's" else {"format": 1, "schema": schema, "version": "9"}
            archive.writestr("manifest.json", json.dumps(manifest))
            archive.writestr("rows/user.jsonl", '{"id": 1, "colour": "red"}\n')
    await _try(source, tmp_path / "here")


async def test_usage_is_summed_by_user_model_and_day(house: House) -> None:
    async with house.signed_in() as ada:
        own = (await ada.get("/api/me")).json()["id"]
        grace = (await ada.post("/api/admin/users", json=USER)).json()["id"]
        day = 86_400_000
        rows = [(own, "a", 1, 10, 5), (own, "b", day + 1, 1, 1), (grace, "a", 2 * day - 1, 100, 50)]
        async with house.workspace.database.write() as session:
            await session.execute(text("DELETE FROM usage_event"))
            for user, model, at, prompt, completion in rows:
                counts = {"prompt_tokens": prompt, "completion_tokens": completion}
                event = UsageEvent(user_id=user, model_id=model, source="page", created_at=at, **counts)
                session.add(event)

        async def ask(**params: object) -> dict[str, object]:
            response = await ada.get("/api/admin/usage", params=params)  # type: ignore[arg-type]
            assert response.status_code == 200, response.text
            found = response.json()
            assert found["total"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in found["rows"])
            return {row["key"]: row["prompt_tokens"] for row in found["rows"]}

        assert list((await ask(by="user")).items()) == [(grace, 100), (own, 11)]
        assert await ask(by="model") == {"a": 110, "b": 1}
        assert await ask(by="day") == {0: 10, day: 101}
        assert await ask(by="day", minutes_east=60) == {
            -3_600_000: 10,
            day - 3_600_000: 1,
            2 * day - 3_600_000: 100,
        }
        assert await ask(by="model", since=day, until=day + 2) == {"b": 1}
        assert await ask(by="day", user=grace) == {day: 100}
        assert await ask(by="source", model="b") == {"page": 1}
