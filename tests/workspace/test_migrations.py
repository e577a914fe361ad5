"""The tables of every version become those of this one, and unknown ones are left alone."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from tests.workspace.conftest import ADMIN, open_house

from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage import migrate
from pagoda.workspace.storage.database import Database, DatabaseError
from pagoda.workspace.storage.tables import Base

NEXT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{new}", "{old}"
def upgrade():
    with op.batch_alter_table("user") as table:
        table.add_column(sa.Column("colour", sa.String(), nullable=False, server_default="red"))
    {more}
"""

#: a filled SQLite database of every revision, as it was released
SCHEMAS = sorted((Path(__file__).parent / "data").glob("schema-*.sql"))


def script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    return ScriptDirectory.from_config(config)


def test_revisions_are_one_line_and_files_are_named_after_them() -> None:
    line = [revision.revision for revision in script().walk_revisions()]
    assert line[::-1] == migrate.revisions() == [f"{n:04}" for n in range(1, len(line) + 1)]


async def _from_nothing(database: Database) -> None:
    async with database.writer.begin() as connection:
        await connection.run_sync(migrate._run_alembic)


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, Base.metadata))


@pytest.mark.parametrize("storage", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("make", [_from_nothing, migrate.prepare])
async def test_revisions_make_the_tables_that_the_code_has(
    tmp_path: Path, storage: str, make: object, request: pytest.FixtureRequest
) -> None:
    url = None
    if storage == "postgresql":
        url = await request.getfixturevalue("empty_database")()
    database = Database.open(url, tmp_path)
    await make(database)  # type: ignore[operator]
    async with database.writer.begin() as connection:
        assert await connection.run_sync(_differences) == []
        head = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    assert head == migrate.revisions()[-1]
    await database.close()


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The revisions of a version to come, which adds a column to a table that others refer to."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    for path in [*migrate.MIGRATIONS.glob("*.*"), *migrate.MIGRATIONS.glob("versions/*.py")]:
        (folder / path.relative_to(migrate.MIGRATIONS)).write_text(path.read_text())
    old = migrate.revisions()[-1]
    new = f"{int(old) + 1:04}"
    (folder / "versions" / f"{new}_colours.py").write_text(NEXT.format(new=new, old=old, more=""))
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    return folder / "versions" / f"{new}_colours.py"


async def test_an_upgrade_keeps_everything_and_lays_a_copy_aside(
    tmp_path: Path, storage: str, request: pytest.FixtureRequest
) -> None:
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        await ada.post("/api/chats", json={"title": "Kept"})
    old = migrate.revisions()[-1]
    request.getfixturevalue("newer")
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        assert [chat["title"] for chat in (await ada.get("/api/chats")).json()["chats"]] == ["Kept"]
        async with house.workspace.database.read() as session:
            assert await session.scalar(text('SELECT colour FROM "user"')) == "red"
            if storage == "sqlite":
                assert await session.scalar(text("PRAGMA foreign_keys")) == 1
    if storage == "sqlite":
        copy = sqlite3.connect(migrate.backup_path(tmp_path / "workspace.db", old))
        assert copy.execute("SELECT email FROM user").fetchall() == [(ADMIN["email"],)]
        assert "colour" not in [row[1] for row in copy.execute("PRAGMA table_info(user)")]
        copy.close()


async def test_an_upgrade_that_fails_changes_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_house(tmp_path) as house, house.signed_in():
        pass
    with monkeypatch.context() as later:
        newer: Path = request.getfixturevalue("newer")
        newer.write_text(newer.read_text() + '    op.execute("SELECT nothing FROM nowhere")\n')
        with pytest.raises(DatabaseError, match="nowhere"):
            async with open_house(tmp_path):
                pass
        newer.unlink()
        later.setattr(migrate, "MIGRATIONS", newer.parent.parent)
        async with open_house(tmp_path) as house, house.signed_in() as ada:
            assert (await ada.get("/api/me")).json()["email"] == ADMIN["email"]


async def test_an_unknown_schema_is_refused(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, house.workspace.database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9000'"))
    with pytest.raises(DatabaseError, match=r"schema 9000, which this version .* does not know"):
        async with open_house(tmp_path):
            pass


@pytest.mark.sqlite_only
async def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, house.signed_in():
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("workspace.db*")}
    assert set(modes) >= {"workspace.db", "workspace.db-wal"}
    assert set(modes.values()) == {0o600}


async def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "workspace.db")
    database.execute("CREATE TABLE user (id TEXT)")
    database.close()
    with pytest.raises(DatabaseError, match="another program"):
        await migrate.prepare(Database.open(None, tmp_path))


@pytest.mark.parametrize("url", ["mysql://a/b", "nonsense", "postgresql://nobody@/x?host=/nowhere"])
async def test_an_address_that_leads_nowhere_is_one_line(tmp_path: Path, url: str) -> None:
    settings = WorkspaceSettings(database_url=url)
    with pytest.raises(DatabaseError) as caught:
        await migrate.prepare(Database.open(settings.database_url, tmp_path))
    assert "\n" not in str(caught.value)


def test_alembic_is_not_loaded_where_nothing_is_to_be_upgraded(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, pathlib\n"
        "from pagoda.workspace.storage.database import Database\n"
        "from pagoda.workspace.storage.migrate import prepare\n"
        f"asyncio.run(prepare(Database.open(None, pathlib.Path({str(tmp_path)!r}))))\n"
        "print([name for name in ('alembic', 'mako', 'asyncpg', 'cryptography') if name in sys.modules])\n"
    )
    for _ in range(2):  # an empty one, and one that is as it should be
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"


def test_every_revision_has_an_example_of_its_own() -> None:
    """Whoever writes a new revision lays a filled database of it beside the others."""
    assert [path.stem.removeprefix("schema-") for path in SCHEMAS] == migrate.revisions()


@pytest.mark.sqlite_only
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.stem)
async def test_a_database_of_every_released_revision_opens(tmp_path: Path, schema: Path) -> None:
    database = sqlite3.connect(tmp_path / "workspace.db")
    database.executescript(schema.read_text("utf-8"))
    database.close()
    async with open_house(tmp_path) as house, house.signed_in() as ada:
        [chat] = (await ada.get("/api/chats")).json()["chats"]
        assert (chat["title"], chat["tags"]) == ("Kept", ["sea"])
        messages = (await ada.get(f"/api/chats/{chat['id']}/messages")).json()["messages"]
        assert [message["parts"][0]["text"] for message in messages] == [
            "What is a lighthouse?",
            "Hello, world.",
        ]
        [hit, *_] = (await ada.get("/api/search", params={"q": "lighthouse"})).json()["hits"]
        assert hit["chat_id"] == chat["id"]
        [folder] = (await ada.get("/api/folders")).json()["folders"]
        assert (folder["name"], folder["id"]) == ("Papers", chat["folder_id"])
        [prompt] = (await ada.get("/api/prompts")).json()["prompts"]
        assert prompt["command"] == "sum"
