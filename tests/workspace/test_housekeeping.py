"""Nothing piles up: files that nobody speaks of, old records, what belonged to somebody who is gone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text, update
from tests.workspace.conftest import ADMIN, USER, House, open_house
from tests.workspace.test_chats import events
from tests.workspace.test_transfer import attach

from pagoda.workspace.accounts.pace import Pace
from pagoda.workspace.accounts.service import NEW_ACCOUNTS
from pagoda.workspace.files.unused import KEEP_SECONDS
from pagoda.workspace.settings import WorkspaceSettings
from pagoda.workspace.storage.tables import AuditEvent, Base, File, UsageEvent
from pagoda.workspace.storage.values import now_ms

DAY_MS = 86_400_000


async def upload(client: httpx.AsyncClient, name: str = "a.txt", data: bytes = b"words") -> dict[str, Any]:
    response = await client.post("/api/files", files={"file": (name, data)})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def grow_old(house: House, folder: Path) -> None:
    """All files are of the day before yesterday."""
    async with house.workspace.database.write() as session:
        await session.execute(update(File).values(created_at=now_ms() - KEEP_SECONDS * 2000))
    for path in folder.iterdir():
        os.utime(path, (1, 1))


def kept(folder: Path) -> set[str]:
    return {path.name for path in (folder / "files").iterdir()}


async def test_files_stay_while_something_speaks_of_them(house: House, tmp_path: Path) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        chat = await attach(ada, {"used.txt": b"used", "twice.txt": b"twice"})
        question = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"][0]
        used, twice = (part["file_id"] for part in question["parts"][1:])
        second = (await ada.post("/api/chats", json={})).json()["id"]
        body = {"parts": [{"type": "file", "file_id": twice}], "models": ["fake"]}
        asked = await ada.post(f"/api/chats/{second}/generate", json=body)
        await events(ada, asked.json()["generations"][0]["id"])
        never, theirs = (await upload(ada))["id"], (await upload(grace))["id"]
        (tmp_path / "files" / "left-by-a-killed-server").write_bytes(b"x")
        await house.workspace.housekeeping.once()
        assert kept(tmp_path) == {used, twice, never, theirs, "left-by-a-killed-server"}  # all are young
        await grow_old(house, tmp_path / "files")
        young = (await upload(ada))["id"]
        await house.workspace.housekeeping.once()
        assert kept(tmp_path) == {used, twice, young}
        assert (await ada.get(f"/api/files/{never}")).status_code == 404
        assert (await ada.delete(f"/api/chats/{chat}")).status_code == 200
        assert kept(tmp_path) == {twice, young}


async def test_old_records_go_and_figures_of_usage_stay(house: House) -> None:
    async with house.signed_in():
        async with house.workspace.database.write() as session:
            for days in (399, 401):
                at = now_ms() - days * DAY_MS
                session.add(AuditEvent(action=f"{days} days", created_at=at))
                session.add(UsageEvent(model_id="m", source="page", created_at=at))
        await house.workspace.housekeeping.once()
        async with house.workspace.database.read() as session:
            actions = set(await session.scalars(select(AuditEvent.action)))
            assert "399 days" in actions
            assert "401 days" not in actions
            assert await session.scalar(select(func.count()).select_from(UsageEvent)) == 2


async def test_a_user_who_is_deleted_leaves_usage_and_a_line_of_the_log_alone(
    house: House, tmp_path: Path
) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        grace_id = (await grace.post("/api/auth/signup", json=USER)).json()["id"]
        chat = await attach(grace, {"a.txt": b"secret words"})
        folder = (await grace.post("/api/folders", json={"name": "F"})).json()["id"]
        await grace.patch(f"/api/chats/{chat}", json={"folder_id": folder})
        await grace.put(f"/api/chats/{chat}/tags", json={"tags": ["t"]})
        await grace.post(f"/api/chats/{chat}/share")
        await grace.post("/api/prompts", json={"command": "sum", "title": "T", "content": "c"})
        await grace.post("/api/me/keys", json={"name": "k"})
        group = (await ada.post("/api/admin/groups", json={"name": "G"})).json()["id"]
        await ada.put(f"/api/admin/groups/{group}/members/{grace_id}")
        assert (await ada.delete(f"/api/admin/users/{grace_id}")).status_code == 200
        assert kept(tmp_path) == set()
        assert (await grace.get("/api/me")).status_code == 401
        left = set()
        async with house.workspace.database.read() as session:
            for table in Base.metadata.sorted_tables:
                for row in await session.execute(select(table)):
                    if grace_id in repr(tuple(row)) or chat in repr(tuple(row)):
                        left.add(table.name)
            assert left == {"audit_event", "usage_event"}  # "somebody was deleted", and counts without a name
            entries = await session.execute(text("SELECT user_id FROM search_entry"))
            assert grace_id not in {row.user_id for row in entries}
            users = set(await session.scalars(select(UsageEvent.user_id)))
            assert users == {None}


async def test_a_users_room_for_files_ends(tmp_path: Path) -> None:
    settings = WorkspaceSettings(default_role="user", storage_megabytes=1)
    async with open_house(tmp_path, settings=settings) as house, house.signed_in() as ada:
        first = await upload(ada, data=b"a" * 700_000)
        response = await ada.post("/api/files", files={"file": ("b.txt", b"b" * 400_000)})
        assert response.status_code == 413
        assert response.json()["error"] == {
            "message": "Your files would take 1.1 MB; 1 MB are allowed. Delete some first.",
            "type": "storage_full",
            "param": "file",
            "code": "storage_full",
            "values": {"size": "1.1", "most": "1"},
        }
        assert kept(tmp_path) == {first["id"]}
        await ada.delete(f"/api/files/{first['id']}")
        await upload(ada, data=b"b" * 400_000)


async def test_accounts_are_made_at_a_human_pace(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as visitor:
        left = NEW_ACCOUNTS - 1  # the administrator's was one
        for _ in range(left):
            refused = await visitor.post("/api/auth/signup", json={**USER, "email": ADMIN["email"]})
            assert refused.status_code == 409
        for path in ("/api/auth/signup", "/api/setup"):
            response = await visitor.post(path, json=USER)
            assert response.status_code == 429
            assert response.json()["error"]["message"].startswith("Too many accounts from your address;")
            assert int(response.headers["retry-after"]) > 3000
        made = await ada.post("/api/admin/users", json={**USER, "role": "user"})
        assert made.status_code == 200, made.text  # an administrator may


def test_a_pace_is_by_name_and_goes_on() -> None:
    now = [0.0]
    pace = Pace(2, 10.0, lambda: now[0])
    assert [pace.take("a"), pace.take("a")] == [0.0, 0.0]
    now[0] = 4.0
    assert pace.take("a") == pytest.approx(6.0)
    assert pace.take("b") == 0.0
    now[0] = 10.0
    assert pace.take("a") == 0.0
