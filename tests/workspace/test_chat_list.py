"""The list of chats: folders, tags, pins, archive, pages; and pages of messages."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import event
from tests.workspace.conftest import USER, House, open_house

from pagoda.workspace.chats.folders import DEEPEST
from pagoda.workspace.storage.tables import Chat, Message


async def make(client: httpx.AsyncClient, **values: Any) -> str:
    response = await client.post("/api/chats", json=values)
    assert response.status_code == 200, response.text
    chat_id: str = response.json()["id"]
    return chat_id


async def titles(client: httpx.AsyncClient, **where: Any) -> list[str]:
    response = await client.get("/api/chats", params=where)
    assert response.status_code == 200, response.text
    return [chat["title"] for chat in response.json()["chats"]]


async def folder(client: httpx.AsyncClient, name: str, parent: str | None = None) -> str:
    response = await client.post("/api/folders", json={"name": name, "parent_id": parent})
    assert response.status_code == 200, response.text
    folder_id: str = response.json()["id"]
    return folder_id


async def test_chats_lie_in_folders_and_fall_out_of_deleted_ones(house: House) -> None:
    async with house.signed_in() as ada:
        work = await folder(ada, " Work ")
        inner = await folder(ada, "Inner", work)
        await make(ada, title="outside")
        chat = await make(ada, title="inside", folder_id=inner)
        assert await titles(ada, folder=inner) == ["inside"]
        assert await titles(ada, folder="none") == ["outside"]
        assert sorted(await titles(ada)) == ["inside", "outside"]
        listed = (await ada.get("/api/folders")).json()["folders"]
        assert {each["name"]: (each["parent_id"], each["chats"]) for each in listed} == {
            "Work": (None, 0),
            "Inner": (work, 1),
        }
        assert (await ada.delete(f"/api/folders/{inner}")).status_code == 200
        assert (await ada.get(f"/api/chats/{chat}")).json()["folder_id"] == work
        assert (await ada.patch(f"/api/chats/{chat}", json={"folder_id": None})).status_code == 200
        assert len(await titles(ada, folder="none")) == 2


async def test_folders_are_a_tree(house: House) -> None:
    async with house.signed_in() as ada:
        chain = [await folder(ada, "0")]
        for level in range(1, DEEPEST):
            chain.append(await folder(ada, str(level), chain[-1]))
        too_deep = await ada.post("/api/folders", json={"name": "x", "parent_id": chain[-1]})
        assert too_deep.status_code == 400
        inside_itself = await ada.patch(f"/api/folders/{chain[0]}", json={"parent_id": chain[2]})
        assert inside_itself.json()["error"]["message"] == "A folder cannot lie inside itself."
        other = await folder(ada, "other")
        assert (await ada.patch(f"/api/folders/{chain[0]}", json={"parent_id": other})).status_code == 400
        assert (await ada.patch(f"/api/folders/{chain[-1]}", json={"parent_id": other})).status_code == 200
        assert (await ada.post("/api/folders", json={"name": "  "})).status_code == 400


async def test_tags_pins_and_the_archive_narrow_the_list(house: House) -> None:
    async with house.signed_in() as ada:
        first, second, third = [await make(ada, title=title) for title in ("first", "second", "third")]
        tagged = await ada.put(f"/api/chats/{first}/tags", json={"tags": [" b  c ", "a", "a", ""]})
        assert tagged.json() == {"tags": ["a", "b c"]}
        await ada.put(f"/api/chats/{second}/tags", json={"tags": ["a"]})
        await ada.patch(f"/api/chats/{second}", json={"pinned": True, "archived": None})
        await ada.patch(f"/api/chats/{third}", json={"archived": True})
        assert sorted(await titles(ada, tag="a")) == ["first", "second"]
        assert await titles(ada, tag="b c") == ["first"]
        assert await titles(ada, pinned=True) == ["second"]
        assert await titles(ada, archived=True) == ["third"]
        assert (await ada.get("/api/tags")).json()["tags"] == [
            {"tag": "a", "chats": 2},
            {"tag": "b c", "chats": 1},
        ]
        assert (await ada.get(f"/api/chats/{first}")).json()["tags"] == ["a", "b c"]
        assert (await ada.put(f"/api/chats/{first}/tags", json={"tags": ["x" * 41]})).status_code == 400


async def test_pages_list_every_chat_once_though_times_are_equal_and_one_changes(house: House) -> None:
    async with house.signed_in() as ada:
        user = (await ada.get("/api/me")).json()["id"]
        async with house.workspace.database.write() as session:
            session.add_all(Chat(user_id=user, title=str(n), updated_at=1000 + n // 10) for n in range(25))
        seen: list[str] = []
        cursor: str | None = None
        while True:
            where = {"limit": 4, **({"cursor": cursor} if cursor else {})}
            page = (await ada.get("/api/chats", params=where)).json()
            seen += [chat["title"] for chat in page["chats"]]
            if len(seen) == 8:  # one of those seen is used again meanwhile
                await ada.patch(f"/api/chats/{page['chats'][0]['id']}", json={"pinned": True})
            if (cursor := page["next"]) is None:
                break
        assert sorted(seen, key=int) == [str(n) for n in range(25)]
        for odd in ("x", "1", "9" * 30 + ".x"):
            assert (await ada.get("/api/chats", params={"cursor": odd})).status_code == 400


async def test_lists_tell_which_chats_are_being_answered(tmp_path: Path) -> None:
    gate = asyncio.Semaphore(0)
    async with open_house(tmp_path, gate=gate) as house, house.signed_in() as ada:
        chat = await make(ada, title="busy")
        await make(ada, title="idle")
        body = {"parts": [{"type": "text", "text": "Hi"}], "models": ["fake"]}
        started = (await ada.post(f"/api/chats/{chat}/generate", json=body)).json()
        listed = (await ada.get("/api/chats")).json()["chats"]
        assert {each["title"]: each["running"] for each in listed} == {"busy": True, "idle": False}
        await ada.post(f"/api/generations/{started['generations'][0]['id']}/stop")
        await ada.get(f"/api/generations/{started['generations'][0]['id']}/events")
        assert not any(each["running"] for each in (await ada.get("/api/chats")).json()["chats"])


async def long_chat(house: House, user: str, count: int) -> tuple[str, list[str]]:
    """A chat of so many messages in one line."""
    chat = Chat(id="long", user_id=user, title="long")
    ids = [f"m{n:04}" for n in range(count)]
    made = [
        Message(
            id=ids[n],
            chat_id="long",
            parent_id=ids[n - 1] if n else None,
            role="assistant" if n % 2 else "user",
            parts=[{"type": "text", "text": f"text {n}"}],
            text=f"text {n}",
            created_at=n,
        )
        for n in range(count)
    ]
    async with house.workspace.database.write() as session:
        session.add(chat)
        await session.flush()
        chat.leaf_id = ids[-1]
        session.add_all(made)
    return "long", ids


async def test_messages_come_in_pages_from_the_end_and_only_those_are_read(house: House) -> None:
    async with house.signed_in() as ada:
        chat, ids = await long_chat(house, (await ada.get("/api/me")).json()["id"], 70)
        loaded: list[str] = []

        def note(message: Message, _context: object) -> None:
            loaded.append(message.id)

        event.listen(Message, "load", note)
        pages: list[list[str]] = []
        more, before = True, None
        while more:
            where = {"limit": 30, **({"before": before} if before else {})}
            page = (await ada.get(f"/api/chats/{chat}/messages", params=where)).json()
            pages.insert(0, [message["id"] for message in page["messages"]])
            more, before = page["more"], pages[0][0]
            assert sorted(loaded) == pages[0]
            loaded.clear()
        event.remove(Message, "load", note)
        assert [len(page) for page in pages] == [10, 30, 30]
        assert [each for page in pages for each in page] == ids
        missing = await ada.get(f"/api/chats/{chat}/messages", params={"before": "nobody"})
        assert missing.status_code == 404


async def test_a_deleted_message_takes_all_that_followed(house: House) -> None:
    async with house.signed_in() as ada:
        chat, ids = await long_chat(house, (await ada.get("/api/me")).json()["id"], 1500)
        assert (await ada.delete(f"/api/messages/{ids[3]}")).status_code == 200
        left = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
        assert [message["id"] for message in left] == ids[:3]
        assert (await ada.get(f"/api/chats/{chat}")).json()["leaf_id"] == ids[2]


async def test_words_are_changed_in_their_place(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        chat, ids = await long_chat(house, (await ada.get("/api/me")).json()["id"], 2)
        async with house.workspace.database.write() as session:
            answer = await session.get_one(Message, ids[1])
            thought = {"type": "reasoning", "text": "Hm", "seconds": 1}
            answer.parts = [thought, {"type": "text", "text": "typo"}, {"type": "status", "description": "x"}]
        await ada.patch(f"/api/messages/{ids[1]}", json={"rating": 1})
        better = {"parts": [{"type": "text", "text": "giraffe"}]}
        assert (await grace.patch(f"/api/messages/{ids[1]}", json=better)).status_code == 404
        assert (await ada.patch(f"/api/messages/{ids[1]}", json=better)).status_code == 200
        [_, changed] = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
        assert changed["parts"] == [thought, *better["parts"], {"type": "status", "description": "x"}]
        assert changed["rating"] == 1
        [hit] = (await ada.get("/api/search?q=giraffe")).json()["hits"]
        assert hit["message_id"] == ids[1]


async def test_nobody_reaches_folders_and_tags_that_are_not_theirs(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace, house.browser() as visitor:
        await grace.post("/api/auth/signup", json=USER)
        theirs = await folder(ada, "secret")
        chat = await make(ada, title="secret", folder_id=theirs)
        await ada.put(f"/api/chats/{chat}/tags", json={"tags": ["secret"]})
        mine = await make(grace)
        for method, path, body in (
            ("PATCH", f"/api/folders/{theirs}", {"name": "mine"}),
            ("DELETE", f"/api/folders/{theirs}", None),
            ("POST", "/api/folders", {"name": "x", "parent_id": theirs}),
            ("POST", "/api/chats", {"folder_id": theirs}),
            ("PATCH", f"/api/chats/{mine}", {"folder_id": theirs}),
            ("PUT", f"/api/chats/{chat}/tags", {"tags": []}),
        ):
            assert (await grace.request(method, path, json=body)).status_code == 404, path
            assert (await visitor.request(method, path, json=body)).status_code == 401, path
        assert (await grace.get("/api/folders")).json()["folders"] == []
        assert (await grace.get("/api/tags")).json()["tags"] == []
        assert await titles(grace, folder=theirs) == []
        assert await titles(grace, tag="secret") == []
