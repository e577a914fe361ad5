"""A workspace with a provider that says what a test tells it, behind an app in this process.

Every test that opens one runs twice, on SQLite and on PostgreSQL, but those marked `sqlite_only`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import select, text
from tests.workspace import postgres

from pagoda.workspace.accounts.passwords import Passwords
from pagoda.workspace.app import Workspace
from pagoda.workspace.chats.search import Search
from pagoda.workspace.functions.context import TokenCounter
from pagoda.workspace.providers.fake import Answer, FakeProvider
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.database import Database
from pagoda.workspace.storage.migrate import VERSION_TABLE, prepare, revisions
from pagoda.workspace.storage.tables import Base

ADMIN = {"name": "Ada", "email": "ada@example.org", "password": "correct horse"}
HEAD = revisions()[-1]  # before a test changes what there is
SEARCH_TABLE = "search_entry"  #: which `Search` makes
USER = {"name": "Grace", "email": "grace@example.org", "password": "battery staple"}


def words(_body: object) -> list[str]:
    return ["Hello", ", ", "world", "."]


class House:
    """One workspace, and clients of it: each a browser with cookies of its own."""

    def __init__(self, workspace: Workspace, provider: FakeProvider) -> None:
        self.workspace = workspace
        self.provider = provider
        self.app = FastAPI()
        workspace.install(self.app)

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=self.app)
        headers = {"Origin": "http://house", "Sec-Fetch-Site": "same-origin"}
        async with httpx.AsyncClient(transport=transport, base_url="http://house", headers=headers) as client:
            yield client

    @asynccontextmanager
    async def signed_in(self, account: dict[str, str] = ADMIN) -> AsyncIterator[httpx.AsyncClient]:
        """A browser of somebody with an account; the first one is the administrator."""
        async with self.browser() as client:
            config = (await client.get("/api/config")).json()
            path = "/api/setup" if config["setup_required"] else "/api/auth/login"
            body = account if path == "/api/setup" else {k: account[k] for k in ("email", "password")}
            response = await client.post(path, json=body)
            assert response.status_code == 200, response.text
            yield client


@asynccontextmanager
async def open_house(
    folder: Path,
    answer: Answer = words,
    settings: WorkspaceSettings | None = None,
    tokens: TokenCounter | None = None,
    **provider: object,
) -> AsyncIterator[House]:
    fake = FakeProvider(answer, **provider)  # type: ignore[arg-type]
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    settings = settings or WorkspaceSettings(default_role="user")
    if settings.database_url is None:
        settings = dataclasses.replace(settings, database_url=os.environ.get("DATABASE_URL"))
    workspace = Workspace(settings, folder, [fake], "test", passwords=cheap, tokens=tokens)
    await workspace.start()
    house = House(workspace, fake)
    try:
        yield house
    finally:
        await house.app.state.workspace.stop()  # a restored backup puts another one there


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    opens = "house" in metafunc.fixturenames or open_house.__name__ in metafunc.function.__code__.co_names
    if opens and not any(metafunc.definition.iter_markers("sqlite_only")):
        metafunc.parametrize("storage", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Path]:
    """The socket's folder of a server."""
    programs = postgres.find_programs()
    if programs is None:
        pytest.skip("PostgreSQL's initdb is not on this machine")
    with postgres.running(programs) as folder:
        yield folder


@pytest.fixture(scope="session")
def spare() -> list[str]:
    """Names of databases that have the tables, and nothing in them."""
    return []


@pytest.fixture(autouse=True)
async def storage(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, spare: list[str]
) -> AsyncIterator[str]:
    """Which database a test has; its address is in the environment, as users put it there."""
    kind: str = getattr(request, "param", "sqlite")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    if kind == "postgresql":
        folder = request.getfixturevalue("postgresql")
        name = spare.pop() if spare else await _new_database(folder)
        monkeypatch.setenv("DATABASE_URL", postgres.address(folder, name))
        yield kind
        if await _emptied(folder, name):
            spare.append(name)
        else:
            await _on_server(folder, f"DROP DATABASE {name} WITH (FORCE)")
    else:
        yield kind


@pytest.fixture
def empty_database(postgresql: Path) -> Callable[[], Awaitable[str]]:
    """Makes the address of a database with nothing in it."""

    async def make() -> str:
        name = f"test{uuid4().hex}"
        await _on_server(postgresql, f"CREATE DATABASE {name}")
        return postgres.address(postgresql, name)

    return make


async def _new_database(folder: Path) -> str:
    """The name of one with the tables."""
    name = f"test{uuid4().hex}"
    await _on_server(folder, f"CREATE DATABASE {name}")
    made = Database.open(postgres.address(folder, name), folder)
    try:
        await prepare(made)
        await Search(made).prepare()
    finally:
        await made.close()
    return name


async def _emptied(folder: Path, name: str) -> bool:
    """Removes what a test has written, which is faster than a new one. False where it changed the tables."""
    database = Database.open(postgres.address(folder, name), folder)
    try:
        async with database.writer.begin() as connection:
            found = await connection.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            )
            tables = set(found.all()) - {VERSION_TABLE.name}
            version = await connection.scalar(select(VERSION_TABLE.c.version_num))
            if tables != {*Base.metadata.tables, SEARCH_TABLE} or version != HEAD:
                return False
            await connection.execute(text("SET LOCAL session_replication_role = replica"))  # in any order
            for table in sorted(tables):
                await connection.execute(text(f'DELETE FROM "{table}"'))
    finally:
        await database.close()
    return True


async def _on_server(folder: Path, statement: str) -> int:
    """Runs what no transaction may; returns how many rows came."""
    server = Database.open(postgres.address(folder, "postgres"), folder)
    try:
        async with server.writer.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            found = await connection.execute(text(statement))
            return len(found.all()) if found.returns_rows else 0
    finally:
        await server.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as found:
        yield found
