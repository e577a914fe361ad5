"""Every route against a visitor, somebody pending, a user, a member of a group and an administrator.

Who may call what stands in route_table.txt; a route that is not there fails a test here.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from tests.workspace.conftest import House, open_house

from pagoda.workspace.accounts.principal import DEFAULT_PERMISSIONS
from pagoda.workspace.settings import WorkspaceSettings

TABLE = Path(__file__).with_name("route_table.txt")
ROLES = ("visitor", "pending", "user", "member", "admin")
#: where a permission is looked at after the body: one that would do
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/connections": {"base_url": "https://models.example/v1"},
    "POST /api/presets": {"base_id": "fake"},
    "POST /api/temporary/generate": {
        "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}],
        "models": ["fake"],
    },
    "PUT /api/functions/{function_id}/user-valves": {"values": {}},
}


@dataclass(frozen=True, slots=True)
class Entry:
    level: str
    method: str
    path: str
    permission: str | None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def refusal(self, role: str) -> int | None:
        """401 or 403 for whom the route is not."""
        if self.level == "visitor":
            return None
        if role == "visitor":
            return 401
        if self.level == "known" or role == "admin":
            return None
        if role == "pending" or self.level == "admin":
            return 403
        return 403 if self.permission is not None and role == "user" else None


def entries() -> list[Entry]:
    lines = [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return [Entry(*line, *([None] if len(line) == 3 else [])) for line in lines]  # type: ignore[arg-type]


class RecordingApp(FastAPI):
    """Remembers the routes of what is installed in it, those that the documentation hides as well."""

    def __init__(self) -> None:
        super().__init__()
        self.installed: list[APIRoute] = []

    def include_router(self, router: APIRouter, *arguments: Any, **options: Any) -> None:
        assert not options.get("prefix")
        self.installed += [route for route in router.routes if isinstance(route, APIRoute)]
        assert len(router.routes) == len([route for route in router.routes if isinstance(route, APIRoute)])
        super().include_router(router, *arguments, **options)


async def call(app: FastAPI, entry: Entry, token: str | None) -> int:
    """The status, as soon as it is there: streams never end by themselves."""
    body = json.dumps(BODIES.get(entry.name, {})).encode()
    headers = [
        (b"host", b"house"),
        (b"sec-fetch-site", b"same-origin"),
        (b"content-type", b"application/json"),
    ]
    if token is not None:
        headers.append((b"cookie", f"pagoda_session={token}".encode()))
    path = re.sub(r"{\w+(:path)?}", "nothing-like-this", entry.path)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": entry.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"q=a",
        "root_path": "",
        "headers": headers,
        "server": ("house", 80),
        "client": ("127.0.0.1", 1),
    }
    status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await status
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and not status.done():
            status.set_result(message["status"])

    running = asyncio.ensure_future(app(scope, receive, send))  # type: ignore[arg-type]
    await asyncio.wait({running, status}, return_when=asyncio.FIRST_COMPLETED)
    if not status.done():
        await running  # raises what went wrong
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return status.result()


async def people(house: House) -> dict[str, str | None]:
    """Ids by role. Nobody has a permission but by the group, and administrators."""
    accounts, users, groups = house.workspace.accounts, house.workspace.users, house.workspace.groups
    admin = await accounts.set_up("Admin", "admin@example.org", "password")
    found: dict[str, str | None] = {"visitor": None, "admin": admin}
    for role, kind in (("pending", "pending"), ("user", "user"), ("member", "user")):
        found[role], _ = await users.create(None, role, f"{role}@example.org", kind, "password")
    by = await accounts.by_session(await accounts.begin_session(admin, "", ""))
    assert by is not None
    group = await groups.create(
        by, {"name": "All", "permissions": dict.fromkeys(DEFAULT_PERMISSIONS, True)}, ""
    )
    await groups.add_member(by, group["id"], str(found["member"]), "")
    return found


@pytest.mark.sqlite_only
async def test_every_route_lets_in_whom_the_table_says_and_nobody_else(tmp_path: Path) -> None:
    settings = WorkspaceSettings(permissions=dict.fromkeys(DEFAULT_PERMISSIONS, False))
    async with open_house(tmp_path, settings=settings) as house:
        app = RecordingApp()
        house.workspace.install(app)
        ids = await people(house)
        wrong = []
        for entry in entries():
            for role in ROLES:
                user = ids[role]
                # a session for each call, as some of them end it
                token = None if user is None else await house.workspace.accounts.begin_session(user, "", "")
                status, wanted = await call(app, entry, token), entry.refusal(role)
                right = status not in (401, 403, 405) and status < 500 if wanted is None else status == wanted
                if not right:
                    wrong.append(f"{entry.name} as {role}: {status}, not {wanted or 'let in'}")
        assert not wrong, "\n".join(wrong)


@pytest.mark.sqlite_only
async def test_every_route_is_in_the_table(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        app = RecordingApp()
        house.workspace.install(app)
    routes = {f"{method} {route.path}" for route in app.installed for method in route.methods or ()}
    table = [entry.name for entry in entries()]
    assert len(table) == len(set(table))
    assert not routes - set(table), "routes that are not in route_table.txt"
    assert not set(table) - routes, "lines of route_table.txt without a route"
    assert all(path.split()[1].startswith("/api/") for path in routes)
    schema = {
        f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods
    }
    assert schema <= {re.sub(r":path}", "}", name) for name in table}
