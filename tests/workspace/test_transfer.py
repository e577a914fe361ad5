"""Export and import: nothing lost in the own format, others' formats understood, bad files refused whole."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.workspace.conftest import USER, House, open_house
from tests.workspace.test_files import PNG

from pagoda.workspace.chats import convert
from pagoda.workspace.chats.imports import IMPORT_BYTES
from pagoda.workspace.files.worker_process import RefusedError
from pagoda.workspace.storage.tables import Chat, ChatTag, Message

OPEN_WEBUI = [
    {
        "id": "c1",
        "title": "Trees",
        "chat": {
            "title": "Trees",
            "models": ["llama"],
            "params": {"temperature": 0.1},
            "history": {
                "currentId": "a2",
                "messages": {
                    "q": {"id": "q", "parentId": None, "childrenIds": ["a1", "a2"], "role": "user",
                          "content": "Why?", "timestamp": 1700000000,
                          "files": [{"type": "file", "name": "notes.txt", "url": "x"}]},
                    "a1": {"id": "a1", "parentId": "q", "role": "assistant", "content": "Because.",
                           "model": "llama", "annotation": {"rating": 1}, "timestamp": 1700000001},
                    "a2": {"id": "a2", "parentId": "q", "role": "assistant", "model": "llama",
                           "content": '<details type="reasoning" done="true" duration="3">\n'
                           "<summary>Thought</summary>\n&gt; Hm &lt;b&gt;\n</details>\nSo it is.",
                           "usage": {"completion_tokens": 5}, "timestamp": 1700000002},
                },
            },
        },
        "meta": {"tags": ["science"]},
        "pinned": True,
        "archived": False,
        "created_at": 1700000000,
        "updated_at": 1700000002,
    }
]  # fmt: skip

CHATGPT = [
    {
        "title": "Pelicans",
        "create_time": 1700000000.5,
        "update_time": 1700000009.0,
        "current_node": "n5",
        "mapping": {
            "root": {"id": "root", "message": None, "parent": None, "children": ["sys"]},
            "sys": {"id": "sys", "parent": "root", "children": ["n1"], "message": {
                "author": {"role": "system"}, "content": {"content_type": "text", "parts": [""]},
                "metadata": {"is_visually_hidden_from_conversation": True}}},
            "n1": {"id": "n1", "parent": "sys", "children": ["n2"], "message": {
                "author": {"role": "user"}, "create_time": 1700000001.0,
                "content": {"content_type": "multimodal_text", "parts": [
                    {"content_type": "image_asset_pointer", "asset_pointer": "x"}, "What bird?"]}}},
            "n2": {"id": "n2", "parent": "n1", "children": ["n3"], "message": {
                "author": {"role": "assistant"}, "content": {"content_type": "thoughts", "thoughts": [
                    {"summary": "s", "content": "It has a bill."}]}, "metadata": {}}},
            "n3": {"id": "n3", "parent": "n2", "children": ["n4"], "message": {
                "author": {"role": "assistant"}, "metadata": {"model_slug": "gpt-x"},
                "content": {"content_type": "code", "language": "python", "text": "look()"}}},
            "n4": {"id": "n4", "parent": "n3", "children": ["n5"], "message": {
                "author": {"role": "tool"}, "content": {"content_type": "execution_output", "text": "ok"}}},
            "n5": {"id": "n5", "parent": "n4", "children": [], "message": {
                "author": {"role": "assistant"}, "metadata": {"model_slug": "gpt-x"},
                "content": {"content_type": "text", "parts": ["A pelican."]}}},
        },
    }
]  # fmt: skip


async def send(client: httpx.AsyncClient, data: Any) -> dict[str, Any]:
    """Imports; the job at its end."""
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    response = await client.post("/api/import", files={"file": ("chats.json", content)})
    assert response.status_code == 202, response.text
    return await ended(client, response.json())


async def ended(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    while job["state"] not in ("done", "failed"):
        await asyncio.sleep(0.01)  # as a page asks again and again
        job = (await client.get(f"/api/imports/{job['id']}")).json()
    return job


def told(job: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(job[name] for name in ("state", "format", "done", "total", "chats", "prompts", "error"))


def came_in(form: str, chats: int = 1, prompts: int = 0) -> tuple[Any, ...]:
    return ("done", form, chats, chats, chats, prompts, None)


async def fill(house: House, client: httpx.AsyncClient) -> str:
    """A chat with everything that a chat can have."""
    user = (await client.get("/api/me")).json()["id"]
    outer = (await client.post("/api/folders", json={"name": "Outer"})).json()["id"]
    inner = (await client.post("/api/folders", json={"name": "Inner", "parent_id": outer})).json()["id"]
    chat = Chat(
        user_id=user, title="Full 满", title_from="model", folder_id=inner, pinned=True, archived=True,
        models=["a", "b"], params={"system": "Be brief.", "top_p": 0.5}, filter_ids=["f"], created_at=11,
        updated_at=22,
    )  # fmt: skip
    async with house.workspace.database.write() as session:
        session.add(chat)
        await session.flush()
        question = Message(
            chat_id=chat.id, role="user", parts=[{"type": "text", "text": "Why?"}], text="Why?", created_at=12
        )
        session.add(question)
        await session.flush()
        answers = [
            Message(
                chat_id=chat.id, parent_id=question.id, role="assistant", model_id=model, status=status,
                parts=[{"type": "reasoning", "text": "Hm", "seconds": 1.5}, {"type": "text", "text": "So."}],
                text="So.", usage={"completion_tokens": 3}, timing={"seconds": 2.5}, rating=rating,
                error=error, meta={"x": 1}, created_at=13,
            )
            for model, status, rating, error in (
                ("a", "done", 1, None), ("b", "failed", None, {"message": "It broke."})
            )
        ]  # fmt: skip
        session.add_all(answers)
        await session.flush()
        chat.leaf_id = answers[0].id
        session.add_all(ChatTag(chat_id=chat.id, tag=tag, user_id=user) for tag in ("x", "y"))
    return chat.id


def without_ids(chat: dict[str, Any]) -> dict[str, Any]:
    """The same for two chats that differ in their ids alone."""
    places = {each["id"]: number for number, each in enumerate(sorted(chat["messages"], key=_order))}
    messages = [
        {**each, "id": places[each["id"]], "parent_id": places.get(each["parent_id"])}
        for each in sorted(chat["messages"], key=_order)
    ]
    return {**chat, "id": None, "leaf_id": places[chat["leaf_id"]], "messages": messages}


def _order(message: dict[str, Any]) -> tuple[int, str]:
    return message["created_at"], message["model_id"] or ""


async def test_the_own_format_loses_nothing_and_others_can_take_it(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        chat = await fill(house, ada)
        one = await ada.get(f"/api/chats/{chat}/export")
        assert one.headers["content-disposition"].startswith("attachment; filename*=UTF-8''Full%20%E6%BB%A1.")
        await ada.post("/api/prompts", json={"command": "sum", "title": "T", "content": "{{text}}"})
        await ada.post("/api/prompts", json={"command": "kept", "title": "T", "content": "theirs"})
        await grace.post("/api/prompts", json={"command": "kept", "title": "T", "content": "mine"})
        whole = (await ada.get("/api/export")).json()
        assert whole["chats"] == one.json()["chats"]
        assert told(await send(grace, whole)) == came_in("Pagoda", prompts=1)
        library = (await grace.get("/api/prompts")).json()["prompts"]
        assert [(each["command"], each["content"]) for each in library] == [
            ("kept", "mine"),
            ("sum", "{{text}}"),
        ]
        [theirs] = (await grace.get("/api/export")).json()["chats"]
        assert theirs["id"] != chat
        assert without_ids(theirs) == without_ids(whole["chats"][0])
        assert [hit["title"] for hit in (await grace.get("/api/search?q=满")).json()["hits"]] == ["Full 满"]


async def test_markdown_is_the_visible_branch(house: House) -> None:
    async with house.signed_in() as ada:
        chat = await fill(house, ada)
        text = (await ada.get(f"/api/chats/{chat}/export", params={"format": "markdown"})).text
        assert text == "# Full 满\n\n## User\n\nWhy?\n\n## a\n\nSo.\n"


async def test_open_webuis_chats_come_in_and_go_out(house: House) -> None:
    async with house.signed_in() as ada:
        assert told(await send(ada, OPEN_WEBUI)) == came_in("Open WebUI")
        [chat] = (await ada.get("/api/chats")).json()["chats"]
        assert (chat["title"], chat["pinned"], chat["tags"]) == ("Trees", True, ["science"])
        assert chat["updated_at"] == 1700000002000
        line = (await ada.get(f"/api/chats/{chat['id']}/messages")).json()["messages"]
        assert line[0]["parts"] == [
            {"type": "file", "file_id": None, "name": "notes.txt"},
            {"type": "text", "text": "Why?"},
        ]
        assert line[1]["parts"] == [
            {"type": "reasoning", "text": "Hm <b>", "seconds": 3.0},
            {"type": "text", "text": "So it is."},
        ]
        assert line[1]["usage"] == {"completion_tokens": 5}
        assert len(line[1]["siblings"]) == 2
        [out] = (await ada.get("/api/export", params={"format": "openwebui"})).json()
        history = out["chat"]["history"]
        current = history["messages"][history["currentId"]]
        assert current["content"] == "So it is."
        assert len(history["messages"][current["parentId"]]["childrenIds"]) == 2
        before = (await ada.get("/api/export")).json()["chats"][0]
        await ada.delete(f"/api/chats/{chat['id']}")
        assert told(await send(ada, [out])) == came_in("Open WebUI")
        after = (await ada.get("/api/export")).json()["chats"][0]
        assert without_ids(after) == without_ids(before)


async def test_chatgpts_conversations_come_in(house: House) -> None:
    async with house.signed_in() as ada:
        assert told(await send(ada, CHATGPT)) == came_in("ChatGPT")
        [chat] = (await ada.get("/api/chats")).json()["chats"]
        assert chat["title"] == "Pelicans"
        line = (await ada.get(f"/api/chats/{chat['id']}/messages")).json()["messages"]
        assert [message["role"] for message in line] == ["user", "assistant"]
        assert line[0]["parts"][1] == {"type": "text", "text": "What bird?"}
        assert line[1]["parts"] == [
            {"type": "reasoning", "text": "It has a bill.", "seconds": None},
            {"type": "text", "text": "```python\nlook()\n```"},
            {"type": "text", "text": "A pelican."},
        ]


def own(**message: Any) -> dict[str, Any]:
    good = {"id": "m", "parent_id": None, "role": "user", "parts": [{"type": "text", "text": "x"}]}
    return {"format": "pagoda-chats", "version": 1, "chats": [{"messages": [{**good, **message}]}]}


BAD = [
    (b"\x00\xff not json", "The file is not JSON."),
    (b"[" * 200_000, "nested too deeply"),
    (b"[]", "holds no chats"),
    (b'{"a": 1}', "none of the formats"),
    (b'"text"', "none of the formats"),
    ({"format": "pagoda-chats", "version": 9, "chats": []}, "version 9"),
    ({"format": "pagoda-chats", "version": 1, "chats": [1]}, "Chat 1"),
    ({"format": "pagoda-chats", "version": 1, "chats": [], "prompts": [{}]}, "prompt"),
    (own(id=5), "no id"),
    (own(role="system"), "neither"),
    (own(parts=[{"type": "text"}]), "parts"),
    (own(parts="x"), "parts"),
    (own(parent_id="m"), "circle"),
    ([{"mapping": {"a": {"parent": "b"}, "b": {"parent": "a"}}}], "circle"),
    ([{"mapping": {"a": {"message": {"author": 5}}}}], "not as it should be"),
    ([{"chat": {"history": {"messages": {"a": {"role": "user", "files": 3}}}}}], "not as it should be"),
]


@pytest.mark.parametrize(("data", "reason"), BAD)
def test_bad_files_have_a_reason(data: Any, reason: str, tmp_path: Any) -> None:
    (tmp_path / "in").write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    with pytest.raises(RefusedError, match=reason):
        convert.convert(str(tmp_path / "in"), str(tmp_path), "1000")


async def test_a_file_with_one_bad_chat_is_refused_whole(house: House, tmp_path: Path) -> None:
    async with house.signed_in() as ada:
        data = own()
        data["chats"] = data["chats"] * 50 + own(role="x")["chats"]
        job = await send(ada, data)
        assert job["state"] == "failed"
        assert "chat 51" in job["error"]
        assert (await ada.get("/api/chats")).json()["chats"] == []
        assert (await send(ada, b"nonsense"))["error"] == "The file is not JSON."
        bare = await ada.post("/api/import", content=json.dumps(own()).encode())
        assert told(await ended(ada, bare.json())) == came_in("Pagoda")
        jobs = (await ada.get("/api/imports")).json()["imports"]
        assert [job["state"] for job in jobs] == ["failed", "failed", "done"]
        assert list((tmp_path / "imports").iterdir()) == []


async def test_what_fails_on_the_way_is_taken_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from pagoda.workspace.chats import imports

    real, calls = imports.add_chats, 0

    async def breaks(*arguments: Any) -> list[str]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("the disk is full")
        return await real(*arguments)

    monkeypatch.setattr(imports, "add_chats", breaks)
    monkeypatch.setattr(imports, "_PIECE", 1000)
    async with house.signed_in() as ada:
        data = own()
        data["chats"] *= 40
        job = await send(ada, data)
        assert calls == 3
        assert (job["state"], job["done"]) == ("failed", 0)
        assert job["error"] == "The server failed on this import; its log says why."
        assert (await ada.get("/api/chats")).json()["chats"] == []


async def attach(client: httpx.AsyncClient, files: dict[str, bytes]) -> str:
    """A chat whose question has files; returns its id."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": "What is in them?"}]
    for name, data in files.items():
        made = (await client.post("/api/files", files={"file": (name, data)})).json()
        parts.append({"type": "image" if made["characters"] is None else "file", "file_id": made["id"]})
    chat = (await client.post("/api/chats", json={})).json()["id"]
    asked = await client.post(f"/api/chats/{chat}/generate", json={"parts": parts, "models": ["fake"]})
    run = asked.raise_for_status().json()["generations"][0]["id"]
    await client.get(f"/api/generations/{run}/events")  # until its end
    return chat


async def test_an_archive_brings_the_files_too(tmp_path: Path) -> None:
    files = {"notes.txt": "Zwei Wörter".encode(), "dot.png": PNG}
    async with (
        open_house(tmp_path, capabilities=("vision",)) as house,
        house.signed_in() as ada,
        house.browser() as grace,
    ):
        await grace.post("/api/auth/signup", json=USER)
        chat = await attach(ada, files)
        whole = await ada.get("/api/export", params={"format": "zip"})
        single = await ada.get(f"/api/chats/{chat}/export", params={"format": "zip"})
        assert whole.headers["content-disposition"].endswith("chats.zip")
        for archive in (whole.content, single.content):
            job = await send(grace, archive)
            assert (*told(job), job["files"]) == (*came_in("Pagoda"), 2)
        theirs = (await grace.get("/api/chats")).json()["chats"]
        for each in theirs:
            question = (await grace.get(f"/api/chats/{each['id']}/messages")).json()["messages"][0]
            ids = [part["file_id"] for part in question["parts"][1:]]
            for file_id, (name, data) in zip(ids, files.items(), strict=True):
                about = (await grace.get(f"/api/files/{file_id}")).json()
                assert (about["name"], about["size"]) == (name, len(data))
                assert (await grace.get(f"/api/files/{file_id}/content")).content == data
        assert len({path.name for path in (tmp_path / "files").iterdir()}) == 6


def packed(**entries: bytes) -> bytes:
    """An archive with one chat that speaks of the file F, and these entries: about, content, chats."""
    chats = json.dumps(own(parts=[{"type": "file", "file_id": "F", "name": "f"}])).encode()
    names = {"about": "files/F/about.json", "content": "files/F/content", "chats": "chats.json"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, data in {"chats": chats, **entries}.items():
            archive.writestr(names.get(key, key), data)
    return out.getvalue()


ABOUT = json.dumps({"name": "../f.txt", "media_type": "text/plain", "text": "x"}).encode()
PAGE = json.dumps({"name": "f.svg", "media_type": "image/svg+xml", "text": None}).encode()


def test_chatgpts_export_comes_in_as_it_was_downloaded(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in", "w") as archive:
        archive.writestr("chat.html", "<html></html>")
        archive.writestr("conversations.json", json.dumps(CHATGPT))
    found = convert.convert(str(tmp_path / "in"), str(tmp_path), "10000000")
    assert (found["format"], found["chats"], found["files"]) == ("ChatGPT", 1, 0)


@pytest.mark.parametrize(
    ("archive", "error", "files"),
    [
        (packed(about=ABOUT, content=b"x"), None, 1),
        (packed(about=PAGE, content=b"<svg onload=alert(1)>"), None, 0),
        (packed(about=b"no JSON", content=b"x"), None, 0),
        (packed(content=b"x"), None, 0),
        (packed(about=ABOUT, content=b"x" * 20_000_000), "larger than the 10 MB", 0),
        (packed(about=b" " * 20_000_000, content=b"x"), "larger than 12 MB", 0),
        (packed(chats=b"[" + b" " * 2_000_000 + b"]"), "chats.json in the archive is larger than 1 MB", 0),
        (packed(about=ABOUT, content=b"x")[:-30] + b"x" * 30, "not JSON", 0),
        (packed(about=ABOUT, content=b"x").replace(b"chats.json", b"other.json"), "holds no chats.json", 0),
    ],
    ids=["good", "page", "no-json", "alone", "bomb", "bomb-about", "bomb-chats", "cut", "another"],
)
def test_archives_may_lie(
    archive: bytes, error: str | None, files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "MOST_JSON", 1_000_000)
    (tmp_path / "in").write_bytes(archive)
    if error is not None:
        with pytest.raises(RefusedError, match=error):
            convert.convert(str(tmp_path / "in"), str(tmp_path), "10000000")
        return
    found = convert.convert(str(tmp_path / "in"), str(tmp_path), "10000000")
    assert (found["chats"], found["files"]) == (1, files)


async def test_one_import_at_a_time_and_nobody_elses(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        async with house.workspace.imports.turn:  # what reads them is busy
            first = (await ada.post("/api/import", content=json.dumps(own()).encode())).json()
            assert first["state"] == "reading"
            again = await ada.post("/api/import", content=b"[]")
            assert again.status_code == 409
            assert (await grace.post("/api/import", content=b"[]")).status_code == 202
            assert (await grace.get(f"/api/imports/{first['id']}")).status_code == 404
            await house.workspace.imports.stop()
        stopped = (await ada.get(f"/api/imports/{first['id']}")).json()
        assert stopped["error"] == "The server was stopped meanwhile."
        assert (await ada.get("/api/chats")).json()["chats"] == []


async def test_importing_needs_a_permission_and_has_a_limit(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as visitor:
        assert (await visitor.post("/api/import", content=b"[]")).status_code == 401
        assert (await visitor.get("/api/export")).status_code == 401
        headers = {"Content-Length": str(IMPORT_BYTES * 2)}
        response = await ada.post("/api/import", content=b"", headers=headers)
        assert response.status_code == 413


async def test_nobody_exports_what_is_not_theirs(house: House) -> None:
    async with house.signed_in() as ada, house.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        chat = await fill(house, ada)
        for form in ("json", "markdown", "openwebui"):
            response = await grace.get(f"/api/chats/{chat}/export", params={"format": form})
            assert response.status_code == 404
        assert (await grace.get("/api/export")).json()["chats"] == []
