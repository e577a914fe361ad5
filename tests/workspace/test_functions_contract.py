"""The contract of plugin functions, row by row, through the page's own routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.workspace.conftest import USER, House, open_house
from tests.workspace.functions_support import add, answer, statuses, text
from tests.workspace.test_chats import new_chat

pytestmark = pytest.mark.sqlite_only  # what functions do has nothing to do with the kind of database


@pytest.fixture
async def said(tmp_path: Path) -> AsyncIterator[House]:
    """A model that says `Hello, world.`"""
    async with open_house(tmp_path) as house:
        yield house


RESERVED = """
class Filter:
    async def inlet(self, body, __user__, __event_emitter__, __event_call__, __request__, __model__,
                    __metadata__, __id__, __chat_id__, __message_id__, __oauth_token__, **others):
        assert callable(__event_emitter__) and callable(__event_call__) and not others
        assert __request__.app.state.config.ANYTHING is None
        assert __model__["info"]["meta"] is not None
        assert __metadata__["chat_id"] == __chat_id__ and __metadata__["user_prompt"] == "Hi"
        assert body["model"] == "fake" and body["stream"] and body["chat_id"] == __chat_id__
        user = f"{__user__['name']}|{__user__['role']}"
        body["messages"][-1]["content"] = f"{__id__}|{user}|{bool(__message_id__)}"
        return body

    def stream(self, event, __body__, __id__):
        assert __body__["model"] == "fake"
        return event

    async def outlet(self, body, __user__, __id__):
        assert body["id"] == body["messages"][-1]["id"] and body["messages"][-1]["usage"]["completion_tokens"]
        body["messages"][-1]["content"] += f" [{__id__}]"
        return body
"""


async def test_arguments_are_given_by_name(said: House) -> None:
    async with said.signed_in() as ada:
        await add(ada, RESERVED, "reserved")
        last = await answer(ada)
        assert last["type"] == "done", last
        assert said.provider.requests[-1][0]["messages"][-1]["content"] == "reserved|Ada|admin|True"
        assert "metadata" not in said.provider.requests[-1][0]
        assert text(last) == "Hello, world. [reserved]"


ADDS = """
from pydantic import BaseModel
class Filter:
    class Valves(BaseModel):
        priority: int = 0
    def __init__(self):
        self.valves = self.Valves()
    def inlet(self, body, __id__):
        body["messages"][-1]["content"] += __id__
        return body
    def outlet(self, body, __id__):
        body["messages"][-1]["content"] += __id__
        return body
"""


async def test_priority_then_id_is_the_order_of_inlet_and_outlet(said: House) -> None:
    async with said.signed_in() as ada:
        for name in ("c", "b", "a"):
            await add(ada, ADDS, name)
        saved = await ada.put("/api/admin/functions/a/valves", json={"values": {"priority": 9}})
        assert saved.json()["values"] == {"priority": 9}
        last = await answer(ada)
        assert said.provider.requests[-1][0]["messages"][-1]["content"] == "Hibca"
        assert text(last) == "Hello, world.bca"


async def test_a_filter_meets_the_models_that_name_it_and_the_chats_that_switch_it_on(said: House) -> None:
    async with said.signed_in() as ada:
        await add(ada, ADDS, "named", is_global=False)
        switch = ADDS.replace(
            "self.valves = self.Valves()", "self.valves = self.Valves(); self.toggle = True"
        )
        await add(ada, switch, "switched")
        assert text(await answer(ada)) == "Hello, world."
        assert text(await answer(ada, filter_ids=["switched", "named"])) == "Hello, world.switched"
        [model] = (await ada.get("/api/models")).json()["models"]
        assert [each["id"] for each in model["filters"]] == ["switched"]
        changed = await ada.patch("/api/admin/models/fake", json={"filter_ids": ["named"]})
        assert changed.status_code == 200, changed.text
        assert text(await answer(ada)) == "Hello, world.named"


async def test_inlet_refuses_by_raising(said: House) -> None:
    refuses = "class Filter:\n    def inlet(self, body):\n        raise Exception('Not on Sundays.')\n"
    async with said.signed_in() as ada:
        await add(ada, refuses, "refuses")
        last = await answer(ada)
        assert last["type"] == "failed"
        assert last["error"]["message"] == "Not on Sundays."
        assert said.provider.requests == []
        assert (await ada.get("/api/admin/functions/refuses")).json()["error"] is None


async def test_an_exception_in_outlet_changes_nothing_and_is_noted(said: House) -> None:
    fails = (
        "class Filter:\n    def outlet(self, body):\n        body.clear()\n        raise ValueError('oops')\n"
    )
    async with said.signed_in() as ada:
        await add(ada, fails, "fails")
        last = await answer(ada)
        assert (last["type"], text(last)) == ("done", "Hello, world.")
        assert (await ada.get("/api/admin/functions/fails")).json()["error"] == "outlet: oops (line 4)"


async def test_stream_changes_and_drops_chunks(said: House) -> None:
    upper = (
        "class Filter:\n"
        "    async def stream(self, event):\n"
        "        for choice in event['choices']:\n"
        "            if (choice['delta'].get('content') or '').startswith(','):\n"
        "                return None\n"
        "            choice['delta']['content'] = (choice['delta'].get('content') or '').upper()\n"
        "        return event\n"
    )
    async with said.signed_in() as ada:
        await add(ada, upper, "upper")
        assert text(await answer(ada)) == "HELLOWORLD."


EMITS = """
class Filter:
    async def outlet(self, body, __event_emitter__=None, __event_call__=None):
        send = __event_emitter__
        await send({"type": "status", "data": {"description": "Looking", "done": False}})
        await send({"type": "status", "data": {"description": "Found", "done": True, "urls": ["u"]}})
        await send({"type": "message", "data": {"content": " More."}})
        await send({"type": "citation", "data": {"document": ["d"], "metadata": [{"source": "s"}],
                    "source": {"name": "A source", "url": "https://example.org"}}})
        await send({"type": "embeds", "data": {"embeds": ["<b>page</b>", "https://example.org/e"]}})
        await send({"type": "files", "data": {"files": [{"id": "f", "name": "n.txt", "type": "text/plain"}]}})
        await send({"type": "notification", "data": {"type": "success", "content": "Done"}})
        await send({"type": "unheard of"})
        await send("nonsense")
        answer = await __event_call__({"type": "execute", "data": {"code": "1"}})
        await send({"type": "status", "data": {"description": answer["error"]}})
        answer = await __event_call__({"type": "input", "data": {"title": "Well?"}})
        await send({"type": "status", "data": {"description": answer["error"]}})
"""


async def test_events_become_parts_of_the_message(said: House) -> None:
    async with said.signed_in() as ada:
        await add(ada, EMITS, "emits")
        last = await answer(ada)
        parts = last["message"]["parts"]
        assert text(last) == "Hello, world. More."
        assert statuses(last) == [
            "Looking",
            "Found",
            "execute is disabled",
            "Client session disconnected.",
        ]
        assert [part["done"] for part in parts if part["type"] == "status"][:2] == [False, True]
        [source] = [part for part in parts if part["type"] == "source"]
        assert (source["name"], source["url"]) == ("A source", "https://example.org")
        embeds = [part for part in parts if part["type"] == "embed"]
        assert embeds == [
            {"type": "embed", "html": "<b>page</b>"},
            {"type": "embed", "url": "https://example.org/e"},
        ]
        assert [part["name"] for part in parts if part["type"] == "file"] == ["n.txt"]


async def test_replace_sets_the_whole_text(said: House) -> None:
    replaces = (
        "class Filter:\n"
        "    async def outlet(self, body, __event_emitter__):\n"
        "        await __event_emitter__({'type': 'replace', 'data': {'content': 'Other.'}})\n"
    )
    async with said.signed_in() as ada:
        await add(ada, replaces, "replaces")
        assert text(await answer(ada)) == "Other."


PIPES = {
    "text": "return 'a b'",
    "iterator": "return iter(['a', ' b'])",
    "generator": "yield 'a'\n        yield ' b'",
    "lines": 'yield \'data: {"choices": [{"delta": {"content": "a b"}}]}\'\n        yield \'data: [DONE]\'',
    "bytes": "yield b'a'\n        yield b' b'",
    "dict": "return {'choices': [{'message': {'content': 'a b'}}]}",
    "chunks": "yield {'choices': [{'delta': {'content': 'a b'}}]}",
    "model": "return Said(choices=[{'delta': {'content': 'a b'}}])",
    "response": "return StreamingResponse(pieces())",
}
BEGINNING = """
from pydantic import BaseModel
from starlette.responses import StreamingResponse
class Said(BaseModel):
    choices: list
async def pieces():
    for piece in (b'data: {"choices": [{"delta": {"cont', b'ent": "a b"}}]}\\n\\ndata: [DO', b'NE]\\n\\n'):
        yield piece
class Pipe:
    {prefix}def pipe(self, body):
        {code}
"""


@pytest.mark.parametrize("prefix", ["", "async "])
async def test_pipes_answer_in_every_way_of_the_contract(said: House, prefix: str) -> None:
    async with said.signed_in() as ada:
        for name, code in PIPES.items():
            await add(ada, BEGINNING.replace("{prefix}", prefix).replace("{code}", code), name)
            last = await answer(ada, models=[name])
            assert (last["type"], text(last)) == ("done", "a b"), (name, last)


async def test_a_pipe_lists_models_and_gets_what_it_needs(said: House) -> None:
    many = (
        "class Pipe:\n"
        "    name = 'My: '\n"
        "    def pipes(self):\n"
        "        return [{'id': 'x', 'name': 'X'}, {'id': 'y', 'name': 'Y'}]\n"
        "    async def pipe(self, body, __user__, __event_emitter__, __task__, __metadata__, __files__):\n"
        "        await __event_emitter__({'type': 'status', 'data': {'description': 'At work'}})\n"
        "        yield body['model'] + __user__['name'] + str(__task__) + body['messages'][-1]['content']\n"
        "        raise RuntimeError('Too bad.')\n"
    )
    async with said.signed_in() as ada:
        await add(ada, many, "many")
        listed = (await ada.get("/api/models")).json()["models"]
        assert ("many.x", "My: X") in [(each["id"], each["name"]) for each in listed]
        last = await answer(ada, models=["many.y"])
        assert text(last) == "many.yAdaNoneHi"
        assert statuses(last) == ["At work"]
        assert last["error"]["message"] == "Too bad."


async def test_actions_change_their_message(said: House) -> None:
    action = (
        "class Action:\n"
        "    actions = [{'id': 'up', 'name': 'Up'}, {'id': 'page', 'name': 'Page'}]\n"
        "    async def action(self, body, __id__, __user__, __event_emitter__):\n"
        "        if __id__ == 'page':\n"
        "            from starlette.responses import HTMLResponse\n"
        "            return HTMLResponse('<p>hi</p>', headers={'Content-Disposition': 'inline'})\n"
        "        said = body['messages'][-1]\n"
        "        assert said['id'] == body['id']\n"
        "        return {'messages': [{'id': said['id'], 'content': said['content'].upper()}]}\n"
    )
    async with said.signed_in() as ada, said.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        await add(ada, action, "button")
        chat = await new_chat(ada)
        last = await answer(ada, chat=chat)
        [model] = (await ada.get("/api/models")).json()["models"]
        assert [each["id"] for each in model["actions"]] == ["button.up", "button.page"]
        path = f"/api/chats/{chat}/messages/{last['message']['id']}/actions"
        assert (await grace.post(f"{path}/button.up")).status_code == 404
        assert (await ada.post(f"{path}/button.other")).status_code == 404
        assert text((await ada.post(f"{path}/button.up")).json()) == "HELLO, WORLD."
        pressed = (await ada.post(f"{path}/button.page")).json()["message"]
        assert pressed["parts"][-1] == {"type": "embed", "html": "<p>hi</p>"}


VALVES = """
from pydantic import BaseModel, Field
from typing import Literal
LIST = {"input": {"type": "select", "options": "colours"}}
class Filter:
    class Valves(BaseModel):
        key: str = Field(default="", json_schema_extra={"input": {"type": "password"}})
        size: int = Field(default=3, ge=1)
        colour: str = Field(default="red", json_schema_extra=LIST)
        kind: Literal["a", "b"] = "a"
        @classmethod
        def colours(cls, __user__=None):
            return [{"value": "red", "label": __user__["name"]}]
    class UserValves(BaseModel):
        style: str = "plain"
    def __init__(self):
        self.valves = self.Valves()
    def inlet(self, body, __user__):
        body["messages"][-1]["content"] = f"{self.valves.key}{self.valves.size}{__user__['valves'].style}"
        return body
"""


async def test_valves_are_checked_sealed_and_given(said: House, tmp_path: Path) -> None:
    async with said.signed_in() as ada:
        await add(ada, VALVES, "valved")
        path = "/api/admin/functions/valved/valves"
        schema = (await ada.get(path)).json()["schema"]["properties"]
        assert schema["colour"]["input"]["options"] == [{"value": "red", "label": "Ada"}]
        wrong = await ada.put(path, json={"values": {"size": 0}})
        assert wrong.status_code == 400
        assert "size" in wrong.json()["error"]["message"]
        saved = (await ada.put(path, json={"values": {"key": "sk-secret", "size": 7}})).json()
        assert saved["values"] == {"size": 7}
        assert saved["secrets"] == ["key"]
        await ada.put(path, json={"values": {"key": None, "size": 8}})
        own = "/api/functions/valved/user-valves"
        assert (await ada.put(own, json={"values": {"style": "bold"}})).json()["values"] == {"style": "bold"}
        await answer(ada)
        assert said.provider.requests[-1][0]["messages"][-1]["content"] == "sk-secret8bold"
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("workspace.db*"))
    assert b"sk-secret" not in stored


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("class Filter:\n    def inlet(self, body)\n", "Line 2: SyntaxError"),
        ("import a_module_that_is_not_there\n", "Line 1: ModuleNotFoundError"),
        ("x = 1\n", "no class Pipe, Filter or Action"),
        ("class Filter:\n    pass\n", "none of: inlet, stream, outlet"),
        (
            "class Filter:\n    def __init__(self):\n        1 / 0\n    def inlet(self, body): ...\n",
            "Line 3: Zero",
        ),
    ],
)
async def test_what_does_not_load_is_told_with_its_line(said: House, content: str, told: str) -> None:
    async with said.signed_in() as ada:
        made = await ada.post("/api/admin/functions", json={"content": content})
        assert made.status_code == 400
        assert told in made.json()["error"]["message"]
        assert (await ada.get("/api/admin/functions")).json()["functions"] == []


async def test_frontmatter_names_the_function(said: House) -> None:
    content = '"""\ntitle: My Filter 2\nauthor: me\nrequirements: a, b\n"""\n'
    content += "class Filter:\n    def inlet(self, body): ...\n"
    async with said.signed_in() as ada:
        made = (await ada.post("/api/admin/functions", json={"content": content})).json()
        assert (made["id"], made["name"], made["active"]) == ("my_filter_2", "My Filter 2", False)
        assert made["manifest"]["requirements"] == "a, b"
        again = await ada.post("/api/admin/functions", json={"content": content})
        assert again.status_code == 409


SHIM = """
from open_webui.models.users import Users
from open_webui.models.chats import Chats
from utils.chat import generate_chat_completion
from loguru import logger
class Filter:
    async def inlet(self, body, __user__, __chat_id__, __request__):
        plain, awaited = Users.get_user_by_id(__user__["id"]), await Users.get_user_by_id(__user__["id"])
        assert plain.name == awaited.name == "Ada"
        assert not Users.get_user_by_id("nobody") and await Users.get_user_by_id("nobody") is None
        logger.info("the chat is {}", Chats.get_chat_title_by_id(__chat_id__))
        asked = {"model": "fake", "messages": [{"role": "user", "content": "inner"}], "stream": False}
        found = await generate_chat_completion(__request__, asked, awaited)
        body["messages"][-1]["content"] = found["choices"][0]["message"]["content"]
        return body
"""


async def test_the_open_webui_names_serve_awaited_and_plain_calls(said: House) -> None:
    async with said.signed_in() as ada:
        await add(ada, SHIM, "shim")
        last = await answer(ada)
        assert last["type"] == "done", last
        inner, outer = (request[0]["messages"][-1]["content"] for request in said.provider.requests)
        assert (inner, outer) == ("inner", "Hello, world.")


REWRITES = """
from open_webui.models.chats import Chats
class Action:
    async def action(self, body):
        chat = (await Chats.get_chat_by_id(body["chat_id"])).chat
        question, answer = chat["history"]["messages"].values()
        assert question["content"] == "Hi"
        answer["content"] = "As " + chat["title"]
        chat |= {"title": "New", "tags": ["owls", {"name": "x"}]}
        changed = Chats.update_chat_by_id(body["chat_id"], chat)
        assert changed.title == "New" and not Chats.update_chat_by_id("another", chat)
"""


async def test_a_function_changes_its_users_chat(said: House) -> None:
    async with said.signed_in() as ada:
        await add(ada, REWRITES, "rewrites")
        chat = await new_chat(ada)
        last = await answer(ada, chat=chat)
        pressed = await ada.post(f"/api/chats/{chat}/messages/{last['message']['id']}/actions/rewrites")
        assert pressed.status_code == 200, pressed.text
        assert text(pressed.json()) == "As Hi"
        shown = (await ada.get(f"/api/chats/{chat}")).json()
        assert (shown["title"], shown["tags"]) == ("New", ["owls", "x"])
        [_, kept] = (await ada.get(f"/api/chats/{chat}/messages")).json()["messages"]
        assert kept["parts"] == [{"type": "text", "text": "As Hi"}]


async def test_only_administrators_add_functions(said: House) -> None:
    async with said.signed_in() as ada, said.browser() as grace:
        await grace.post("/api/auth/signup", json=USER)
        await add(ada, ADDS, "a")
        for method, path in [
            ("GET", ""),
            ("POST", ""),
            ("GET", "/a"),
            ("PATCH", "/a"),
            ("DELETE", "/a"),
            ("GET", "/a/valves"),
            ("PUT", "/a/valves"),
            ("POST", "/a/requirements"),
        ]:
            response = await grace.request(method, f"/api/admin/functions{path}", json={})
            assert response.status_code == 403, path
        assert (await ada.delete("/api/admin/functions/a")).status_code == 200
        assert (await ada.get("/api/admin/functions/a")).status_code == 404


async def test_an_export_of_functions_comes_in_again(said: House) -> None:
    async with said.signed_in() as ada:
        content = '"""\ntitle: One\n"""\nclass Filter:\n    def outlet(self, body):\n        return body\n'
        exported = [
            {"id": "one", "name": "The first", "type": "filter", "content": content, "is_active": True},
            {"function": {"id": "Two-Two", "name": "The second", "content": content, "is_global": True}},
            {"id": "bad", "name": "The third", "content": "import nothing_like_it"},
            {"id": "empty", "name": "The fourth"},
        ]
        taken = (await ada.post("/api/admin/functions/import", json={"functions": exported})).json()
        assert [(each["id"], each["name"], each["active"]) for each in taken["functions"]] == [
            ("one", "The first", False),
            ("two_two", "The second", False),
        ]
        assert [each["name"] for each in taken["left"]] == ["The third", "The fourth"]
        assert "nothing_like_it" in taken["left"][0]["error"]
        again = (await ada.post("/api/admin/functions/import", json={"functions": exported[:1]})).json()
        assert again["left"] == [{"name": "The first", "error": "There is a function one already."}]
        listed = (await ada.get("/api/admin/functions", params={"content": "true"})).json()["functions"]
        assert {each["id"]: each["content"] for each in listed} == {"one": content, "two_two": content}
        assert [each["is_global"] for each in listed] == [False, True]
