"""A workspace with a provider that says what a test tells it, behind an app in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from pagoda.workspace.accounts.passwords import Passwords
from pagoda.workspace.app import Workspace
from pagoda.workspace.providers.fake import Answer, FakeProvider
from pagoda.workspace.settings import WorkspaceSettings

ADMIN = {"name": "Ada", "email": "ada@example.org", "password": "correct horse"}
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
    folder: Path, answer: Answer = words, settings: WorkspaceSettings | None = None, **provider: object
) -> AsyncIterator[House]:
    fake = FakeProvider(answer, **provider)  # type: ignore[arg-type]
    cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    settings = settings or WorkspaceSettings(signup="open")
    workspace = Workspace(settings, folder, [fake], "test", passwords=cheap)
    await workspace.start()
    try:
        yield House(workspace, fake)
    finally:
        await workspace.stop()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as found:
        yield found
