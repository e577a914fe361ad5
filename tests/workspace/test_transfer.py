"""Export and import: nothing lost in the own format, others' formats understood, bad files refused whole."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.workspace.conftest import USER, House

from pagoda.workspace.chats import convert
from pagoda.workspace.chats.transfer import IMPORT_BYTES
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


async def send(client: httpx.AsyncClient, data: Any) -> httpx.Response:
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    return await client.post("/api/import", files={"file": ("chats.json", content, "application/json")})


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
        response = await send(grace, whole)
        assert response.json() == {"format": "Pagoda", "chats": 1, "prompts": 1}
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
        assert (await send(ada, OPEN_WEBUI)).json() == {"format": "Open WebUI", "chats": 1, "prompts": 0}
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
        assert (await send(ada, [out])).status_code == 200
        after = (await ada.get("/api/export")).json()["chats"][0]
        assert without_ids(after) == without_ids(before)


async def test_chatgpts_conversations_come_in(house: House) -> None:
    async with house.signed_in() as ada:
        assert (await send(ada, CHATGPT)).json() == {"format": "ChatGPT", "chats": 1, "prompts": 0}
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
        convert.convert(str(tmp_path / "in"), str(tmp_path / "out"))


async def test_a_file_with_one_bad_chat_is_refused_whole(house: House) -> None:
    async with house.signed_in() as ada:
        data = own()
        data["chats"] = data["chats"] * 50 + own(role="x")["chats"]
        response = await send(ada, data)
        assert response.status_code == 400
        assert "chat 51" in response.json()["error"]["message"]
        assert (await ada.get("/api/chats")).json()["chats"] == []
        assert (await send(ada, b"nonsense")).json()["error"]["message"] == "The file is not JSON."
        bare = await ada.post("/api/import", content=json.dumps(own()).encode())
        assert bare.json() == {"format": "Pagoda", "chats": 1, "prompts": 0}


async def test_what_fails_on_the_way_is_taken_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from pagoda.workspace.chats import transfer

    real, calls = transfer.add_chat, 0

    async def breaks(*arguments: Any) -> str:
        nonlocal calls
        calls += 1
        if calls == 30:
            raise RuntimeError("the disk is full")
        return await real(*arguments)

    monkeypatch.setattr(transfer, "add_chat", breaks)
    async with house.signed_in() as ada:
        data = own()
        data["chats"] *= 40
        with pytest.raises(RuntimeError):
            await send(ada, data)
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
